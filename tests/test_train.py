import importlib.util
import io
import re
from contextlib import redirect_stdout
from types import SimpleNamespace

import pytest
import torch
from commands import SMALL, code_folder, isolated, logged

import structnet as sn
from structnet.config.composing import compose
from structnet.run.run import Run
from structnet.system.cores import usable_cores
from structnet.training.fit import train_run
from structnet.training.module import OPTIMIZERS, Module
from structnet.training.options import TrainerOptions
from structnet.training.trainer import evaluate


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with isolated():
        yield tmp_path


def learn(*words, name="out", resumed=None):
    """(run, net, figures, what was printed) of a training on few small files."""
    root = f"task.root={code_folder()}"
    run = Run.new(compose([root, *SMALL, f"run={name}", "trainer.max_epochs=1", *words]))
    out = io.StringIO()
    with redirect_stdout(out):
        net, figures = train_run(run, resumed)
    return run, net, figures, out.getvalue()


def test_figures_are_of_the_test_the_validation_and_the_training():
    run, net, figures, _ = learn()
    assert set(figures) == {"test", "validation", "train"}
    names = {"accuracy", "call", "comparison", "operation", "calibration_error"}
    assert set(figures["test"]) == names
    train = figures["train"]
    assert train["epochs"] == 1 and train["steps"] >= 1 and train["nodes_per_s"] > 0
    assert train["parameters"] == sum(parameter.numel() for parameter in net.parameters())
    steps = sum(1 for _ in logged(run.directory, "loss"))
    assert steps == train["steps"]


def test_training_learns_what_is_to_be_learnt():
    words = ("net.hidden_size=16", "net.embedding_size=16", "net.dropout=0")
    _, _, figures, _ = learn(*words, "trainer.max_epochs=12", "trainer.learning_rate=0.02")
    assert figures["validation"]["accuracy"] > 0.8


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_every_optimizer_changes_all_weights(optimizer):
    torch.manual_seed(0)
    run, net, _, _ = learn(f"trainer.optimizer={optimizer}", "trainer.learning_rate=0.1")
    from lightning.pytorch import seed_everything

    seed_everything(0, verbose=False)
    before = run.build_net().state_dict()
    after = net.state_dict()
    assert all(not torch.equal(after[name], before[name]) for name in before)


def rates(monkeypatch, *words):
    """The learning rate of every step."""
    found = []
    step = torch.optim.AdamW.step

    def noted(self, *some, **more):
        found.append(self.param_groups[0]["lr"])
        return step(self, *some, **more)

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", noted)
        learn("trainer.max_epochs=3", "trainer.learning_rate=0.01", "trainer.batch_size=40", *words)
    return found


def test_the_learning_rate_falls_as_a_cosine_or_stays(monkeypatch):
    falling = rates(monkeypatch, "trainer.schedule=cosine")
    assert falling[0] == 0.01
    assert falling == sorted(falling, reverse=True) and falling[-1] < 0.002
    steps = len(falling)
    for step, rate in enumerate(falling):
        expected = 0.005 * (1 + torch.cos(torch.tensor(torch.pi * step / steps)).item())
        assert rate == pytest.approx(expected, rel=1e-5)
    assert set(rates(monkeypatch, "trainer.schedule=constant", "run=other")) == {0.01}


def clipped(monkeypatch, *words):
    """Norm and largest entry of all gradients at every step."""
    found = []
    step = torch.optim.AdamW.step

    def noted(self, closure, **more):
        def note():
            loss = closure()
            grads = [p.grad for group in self.param_groups for p in group["params"]]
            entries = torch.cat([grad.flatten() for grad in grads if grad is not None])
            found.append((entries.norm().item(), entries.abs().max().item()))
            return loss

        return step(self, note, **more)

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", noted)
        learn(*words)
    return found


def test_gradients_are_clipped_by_norm_by_value_or_not_at_all(monkeypatch):
    free = clipped(monkeypatch, "trainer.clip_norm=null", "run=a")
    by_norm = clipped(monkeypatch, "trainer.clip_norm=0.01", "run=b")
    by_value = clipped(monkeypatch, "trainer.clip_value=0.003", "run=c")
    assert min(norm for norm, _ in free) > 0.011
    assert max(norm for norm, _ in by_norm) <= 0.0101
    assert max(entry for _, entry in by_value) <= 0.003 + 1e-8
    assert max(norm for norm, _ in by_value) > 0.004


def test_training_stops_when_the_validation_has_not_been_better_for_so_many_epochs():
    # A learning rate of nearly nothing changes no decision.
    words = ("trainer.learning_rate=1e-12", "trainer.max_epochs=9", "trainer.patience=2")
    _, _, figures, _ = learn(*words)
    assert figures["train"]["epochs"] == 3


def test_the_best_weights_of_all_epochs_are_left_in_the_net():
    run, net, figures, _ = learn("trainer.max_epochs=6", "trainer.learning_rate=0.05")
    scores = [score for _, score in logged(run.directory, "validation/accuracy")]
    assert len(scores) == 6
    assert figures["validation"]["accuracy"] == pytest.approx(max(scores), abs=1e-6)
    saved = torch.load(run.checkpoints / "best.ckpt", weights_only=True)
    assert saved["epoch"] == scores.index(max(scores))
    assert all(
        torch.equal(value, saved["state_dict"][f"net.{name}"])
        for name, value in net.state_dict().items()
    )
    last = torch.load(run.checkpoints / "last.ckpt", weights_only=True)
    assert last["epoch"] == 5


def test_the_last_weights_are_left_in_the_net_where_these_are_kept():
    words = ("trainer.max_epochs=6", "trainer.learning_rate=0.05", "trainer.keep=last")
    run, net, figures, _ = learn(*words)
    scores = [score for _, score in logged(run.directory, "validation/accuracy")]
    assert figures["validation"]["accuracy"] == pytest.approx(scores[-1], abs=1e-6)
    saved = torch.load(run.checkpoints / "last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(value, saved[f"net.{name}"]) for name, value in net.state_dict().items())


def test_steps_and_batches_can_be_limited():
    _, _, figures, _ = learn("trainer.max_steps=2", "trainer.batch_size=20", "run=a")
    assert figures["train"]["steps"] == 2
    _, _, figures, _ = learn("trainer.limit_batches=3", "trainer.batch_size=20", "run=b")
    assert figures["train"]["steps"] == 3


@pytest.mark.slow
def test_workers_change_nothing_but_the_time():
    one, other = (
        logged(learn(f"trainer.num_workers={count}", f"run=w{count}")[0].directory, "loss")
        for count in (0, 1)
    )
    assert one == other


@pytest.mark.slow
def test_workers_change_no_bit_where_there_are_two_cores(monkeypatch):
    # A number of threads that sums in another order.
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1}, raising=False)
    torch.set_num_threads(2)
    threads, weights = [], []
    for count in (0, 1, 2):
        _, net, _, _ = learn(f"trainer.num_workers={count}", f"run=w{count}")
        threads.append(torch.get_num_threads())
        weights.append(net.state_dict())
    assert threads == [1, 1, 1]
    for other in weights[1:]:
        assert all(torch.equal(value, other[name]) for name, value in weights[0].items())


def test_no_more_threads_are_taken_than_torch_was_told(monkeypatch):
    from structnet.training.trainer import share_cores

    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(8)), raising=False)
    before = torch.get_num_threads()
    try:
        for told, taken in ((1, 1), (3, 3), (8, 7)):
            torch.set_num_threads(told)
            share_cores(None)
            assert torch.get_num_threads() == taken
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("said", "cores"), [("150000 100000", 2), ("50000 100000", 1), ("max 100000", 8), ("", 8)]
)
def test_a_containers_share_of_time_counts_as_cores(monkeypatch, tmp_path, said, cores):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(8)), raising=False)
    monkeypatch.setattr("structnet.system.cores.QUOTA", tmp_path / "cpu.max")
    assert usable_cores() == 8
    (tmp_path / "cpu.max").write_text(f"{said}\n")
    assert usable_cores() == cores


def test_a_net_is_evaluated_as_after_its_training():
    run, net, figures, _ = learn()
    splits = run.task.load(run.topology)
    assert evaluate(run, net, splits["test"]) == figures["test"]
    assert evaluate(run, net, splits["validation"]) == figures["validation"]


def test_batches_of_another_size_give_the_same_figures():
    run, net, figures, _ = learn()
    samples = run.task.load(run.topology)["test"]
    for words in ({"batch_nodes": 64}, {"batch_size": 3}, {"batch_nodes": 10**6}):
        config = {**run.config, "trainer": {**run.config["trainer"], **words}}
        other = Run(run.directory, config, run.task, run.topology)
        assert evaluate(other, net, samples) == pytest.approx(figures["test"], abs=1e-6)


def has_units(monkeypatch, there):
    """The processor has instructions for bfloat16, or does not."""
    found = {"architecture": "x86_64", "avx512_bf16": there}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)


def test_half_precision_is_float32_where_the_processor_lacks_it(monkeypatch):
    has_units(monkeypatch, False)
    *_, out = learn("trainer.precision=bf16-mixed")
    said = "trainer.precision=bf16-mixed: this processor has no instructions for it"
    assert next(line for line in out.splitlines() if "precision" in line).startswith(said)
    losses = [line for line in out.splitlines() if line.startswith("epoch")]
    *_, out = learn("trainer.precision=32-true", name="plain")
    assert "precision" not in out
    plain = [line for line in out.splitlines() if line.startswith("epoch")]
    assert [line.split("  ")[1] for line in losses] == [line.split("  ")[1] for line in plain]


def test_half_precision_is_lightnings(monkeypatch):
    from structnet.nn.net import Net

    seen = set()
    forward = Net.forward

    def noted(self, batch):
        output = forward(self, batch)
        seen.add((torch.is_autocast_enabled("cpu"), output.dtype))
        return output

    monkeypatch.setattr(Net, "forward", noted)
    has_units(monkeypatch, True)
    _, net, figures, _ = learn("trainer.precision=bf16-mixed")
    assert seen == {(True, torch.bfloat16)}
    assert all(parameter.dtype == torch.float32 for parameter in net.parameters())
    assert 0 <= figures["test"]["accuracy"] <= 1


def test_a_line_an_epoch_is_printed_without_a_terminal():
    _, _, _, out = learn("trainer.max_epochs=2")
    lines = [line for line in out.splitlines() if line.startswith("epoch")]
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert all("loss" in line and "validation/accuracy" in line for line in lines)
    assert "v_num" not in out


def test_a_bar_with_loss_validation_and_speed_is_drawn_on_a_terminal(monkeypatch):
    from lightning.pytorch.callbacks import RichProgressBar

    shown = []

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    get_metrics = RichProgressBar.get_metrics

    def noted(self, *some):
        found = get_metrics(self, *some)
        shown.append(set(found))
        return found

    monkeypatch.setattr(RichProgressBar, "get_metrics", noted)
    root = f"task.root={code_folder()}"
    run = Run.new(compose([root, *SMALL, "run=out", "trainer.max_epochs=2"]))
    with redirect_stdout(Terminal()):
        train_run(run, None)
    assert {"loss", "validation/accuracy", "nodes_per_s"} <= set().union(*shown)


@pytest.mark.parametrize("width", [60, 120])
def test_the_bar_fits_its_terminal_and_says_how_long_all_epochs_take(monkeypatch, width):
    import rich

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(rich, "_console", None)
    root = f"task.root={code_folder()}"
    # Batches enough to be drawn while they last.
    words = ("run=out", "trainer.max_epochs=2", "trainer.batch_nodes=16")
    run, shown = Run.new(compose([root, *SMALL, *words])), Terminal()
    with redirect_stdout(shown):
        train_run(run, None)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.getvalue())
    lines = re.split(r"[\r\n]+", text)
    bars = [line for line in lines if line.startswith("epoch")]
    assert any(re.match(r"epoch 1/2 .*\d:\d\d:\d\d left", line) for line in bars), lines
    assert any(line.startswith("epoch 2/2") for line in bars)
    assert max(map(len, bars)) <= width
    # A bar that does not fit goes on on lines of its own.
    assert any(re.search(r"loss \d\.\d{3} accuracy \d\.\d{3}", line) for line in bars), bars
    assert not any(line.lstrip().startswith(("accuracy", "loss", "nodes")) for line in lines)


def test_a_gradient_that_is_not_finite_stops_before_it_spoils_the_weights(monkeypatch):
    from structnet.nn.net import Net

    calls = []
    forward = Net.forward

    def spoilt(self, batch):
        calls.append(1)
        output = forward(self, batch)
        # The loss stays finite, its gradient does not.
        return output + (self.head.weight.sum() * 0).sqrt() if len(calls) == 2 else output

    monkeypatch.setattr(Net, "forward", spoilt)
    with pytest.raises(FloatingPointError) as caught:
        learn("trainer.batch_size=40")
    message = str(caught.value)
    assert "at step 1 of epoch 0" in message and "head.weight" in message
    assert "last good checkpoint: none yet" in message
    assert "trainer.learning_rate" in message


def test_data_that_is_not_a_number_is_blamed_on_the_data_and_not_on_a_parameter(monkeypatch):
    def spoilt(self, output, batch):
        return torch.tensor(float("inf")) + 0 * output.sum()

    monkeypatch.setattr(sn.tasks["swapped"], "loss", spoilt)
    with pytest.raises(FloatingPointError, match=r"loss inf at step 0 of epoch 0.*at the data"):
        learn()


@pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed"
)
def test_tensorboard_is_written_where_it_is_installed():
    run, _, _, _ = learn()
    assert list(run.directory.rglob("events.out.tfevents*"))


def test_figures_are_logged_as_csv():
    run, _, _, _ = learn("trainer.max_epochs=2")
    for name in ("loss", "validation/accuracy", "nodes_per_s"):
        assert logged(run.directory, name), name


def test_threads_are_as_many_as_are_asked_for():
    from structnet.training.trainer import share_cores

    before = torch.get_num_threads()
    try:
        share_cores(3)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def module_of(**given):
    """A module of a net that no task is learned with."""
    return Module(torch.nn.Linear(2, 2), SimpleNamespace(metrics=dict), TrainerOptions(), **given)


def test_a_step_is_fused_on_a_cpu_and_as_torch_chooses_elsewhere(monkeypatch):
    assert module_of().configure_optimizers().param_groups[0]["fused"] is True
    monkeypatch.setattr(Module, "device", torch.device("cuda"))
    assert module_of().configure_optimizers().param_groups[0]["fused"] is None


def test_states_of_a_checkpoint_are_put_where_the_batch_is():
    carried = module_of(
        resumed=SimpleNamespace(states=[[torch.zeros(2, 3)]], spent={}, batches=1)
    ).carried
    there = torch.empty(3, device="meta")
    ((state,),) = carried.before(SimpleNamespace(follows=True, ptr=there), 0)
    assert state.device.type == "meta" and state.shape == (2, 3)
    assert carried.before(SimpleNamespace(follows=False, ptr=there), 0) is None
    assert carried.before(SimpleNamespace(follows=True, ptr=there), None) is None


def test_seconds_are_those_of_training_without_the_test(monkeypatch):
    from structnet.training import fit

    tested, figures_of = [], fit.figures_of
    monkeypatch.setattr(fit, "figures_of", lambda *given: tested.append(1) or figures_of(*given))
    monkeypatch.setattr(Module, "wall_s", property(lambda module: 100.0 * len(tested)))
    # The validation split twice: with the scores as trained, and calibrated.
    assert learn()[2]["train"]["seconds"] == 0 and len(tested) == 3
