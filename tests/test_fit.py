"""Training in Python: the command line's numbers, data of one's own, and what is refused."""

import json

import numpy as np
import pytest
import torch
from commands import call, isolated, refused
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import nn

import structnet as sn
from structnet.fitting import fit as fitting
from structnet.run.run import Run

TRAINER = {"max_epochs": 1, "num_workers": 0, "accelerator": "cpu", "threads": 1}
QUICK = {"trainer": TRAINER, "quiet": True}
NET = {"hidden_size": 4, "embedding_size": 4}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with isolated():
        yield tmp_path


def chains(count=30, targets="classes"):
    random = np.random.default_rng(0)
    for number in range(count):
        n = 2 + number % 4
        x = random.normal(size=(n, 3))
        y = {
            "classes": "up" if x[:, 0].sum() > 0 else "down",
            "numbers": float(x.sum()),
            "of nodes": ["up" if one > 0 else "down" for one in x[:, 0]],
        }[targets]
        yield n, x, y


def rows(*given):
    return list(chains(*given))


class Sums(nn.Module):
    """A net of one's own: the mean of a sample's features, scored."""

    def __init__(self, outputs=2):
        super().__init__()
        self.score = nn.Linear(3, outputs)

    def forward(self, batch):
        owner = batch.sample_of_node()
        summed = torch.zeros(batch.num_samples, 3, device=owner.device)
        return self.score(summed.index_add(0, owner, batch.x))


@pytest.mark.parametrize("targets", ["classes", "numbers"])
def test_little_data_has_many_batches(targets):
    def steps(**options):
        run = sn.fit(rows(200, targets), NET, **QUICK, **options)
        split, on = run.task.loaded["train"], run.topology
        return len(run.task.loader(split, on, batch_nodes=2048, shuffle=True))

    assert 28 <= steps() <= 40
    assert steps(batches=1) == 1


def test_a_task_by_name_gives_the_run_of_the_command_line(place):
    words = ("task=arithmetic", "task.digits=1", "task.train_size=20", "topology=chain",
             "cell=gru", "net.hidden_size=4", "net.embedding_size=4", "seed=3")  # fmt: skip
    given = [f"trainer.{name}={value}" for name, value in TRAINER.items()]
    status, _, err = call("train", *words, *given, "run=a")
    assert status == 0, err
    run = sn.fit(
        "arithmetic", NET, topology="chain", cell="gru", digits=1, train_size=20, seed=3, run="b",
        **QUICK,
    )  # fmt: skip
    assert run.directory.name == "b" and isinstance(run, Run)
    for name in ("model.safetensors", "config.json"):
        first, second = ((place / folder / name).read_bytes() for folder in ("a", "b"))
        assert first.replace(b'"a"', b'"b"') == second.replace(b'"a"', b'"b"')
    of_command = json.loads((place / "a" / "metrics.json").read_text())
    assert of_command["test"] == run.metrics["test"]
    assert (place / "b" / "curve.png").is_file()


def test_an_object_of_a_registered_task_is_made_again_with_its_options(place):
    from structnet.plugins.sequence.tasks.arithmetic import Arithmetic

    task = Arithmetic(digits=1, train_size=20)
    run = sn.fit(task, NET, topology="chain", run="a", **QUICK)
    assert run.task is task
    assert sn.Run.load("a").config["task"]["train_size"] == 20

    class Nameless(Arithmetic):
        pass

    with pytest.raises(ValueError, match=r"Nameless has no name.*@sn.tasks.register\('nameless'\)"):
        sn.fit(Nameless())
    with pytest.raises(ValueError, match=r"\['digits'\] are for a task that is named"):
        sn.fit(task, digits=2)


@pytest.mark.parametrize("targets", ["classes", "numbers", "of nodes"])
def test_rows_with_features_are_learned_and_predicted(targets):
    data = rows(30, targets)
    run = sn.fit(data, NET, run="a", **QUICK)
    found = run.predict(data[:4])
    loaded = sn.Run.load("a")
    again = loaded.predict([(structure, x) for structure, x, _ in data[:4]])
    assert loaded.metrics == run.metrics and "baselines" in run.metrics
    if targets == "numbers":
        assert np.isfinite(found.values).all() and (found.values == again.values).all()
        assert np.isnan(found.probability).all() and list(found.classes) == [None] * 4
    else:
        assert (found.classes == again.classes).all()
        assert (found.probability == again.probability).all()
    if targets == "classes":
        assert found.names == ["down", "up"] and found.probabilities.shape == (4, 2)
        np.testing.assert_allclose(found.probabilities.sum(1), 1, rtol=1e-6)
    if targets == "of nodes":
        assert found.nodes.tolist() == [i for n, _, _ in data[:4] for i in range(n)]
        assert run.config["task"]["per_node"]
    assert again.as_dicts()[0]["text"] == "sample 0"


def test_words_of_nodes_are_a_vocabulary():
    data = [(2, ["a", ["b", "c"]], number % 2) for number in range(20)]
    run = sn.fit(data, NET, run="a", **QUICK)
    assert set(run.task.vocabulary.counts) == {"a", "b", "c"} and run.task.classes == ["0", "1"]
    assert len(sn.Run.load("a").predict([(3, ["a", [], "unheard"])])) == 1


def test_splits_are_taken_as_given_or_drawn_by_the_seed():
    splits = {"train": rows(8), "validation": rows(3), "test": rows(2)}
    run = sn.fit(splits, NET, **QUICK)
    assert {name: len(some) for name, some in run.task.loaded.items()} == {
        "train": 8, "validation": 3, "test": 2,
    }  # fmt: skip

    def drawn(seed):
        found = sn.fit(rows(30), NET, seed=seed, **QUICK).task.loaded
        assert {name: len(some) for name, some in found.items()} == {
            "train": 24, "validation": 3, "test": 3,
        }  # fmt: skip
        return [sample.origin.line for sample in found["test"]]

    assert drawn(0) == drawn(0) != drawn(1)


def test_a_class_that_training_has_not_counts_as_wrong():
    some = rows(12)
    other = [(n, x, "sideways") for n, x, _ in some[:4]]
    run = sn.fit({"train": some, "validation": some, "test": other}, NET, **QUICK)
    assert run.metrics["test"]["accuracy"] == 0 and run.task.classes == ["down", "up"]


@pytest.mark.parametrize("loss", ["absolute", "huber", "squared"])
def test_losses_of_numbers(loss):
    run = sn.fit(rows(20, "numbers"), NET, loss=loss, **QUICK)
    y = torch.tensor([0.0, 3.0, float("nan")])
    run.task.scale = (0.0, 1.0)
    batch = sn.collate([sn.Sample(1, np.zeros((1, 3), np.float32), one) for one in y.numpy()],
                       run.topology)  # fmt: skip
    output = torch.tensor([[0.5], [0.0], [9.0]])
    wanted = {"absolute": 3.5 / 2, "huber": (0.125 + 2.5) / 2, "squared": (0.25 + 9) / 2}[loss]
    assert run.task.loss(output, batch).item() == pytest.approx(wanted)


def test_an_unknown_target_is_none():
    data = rows(30)
    data[3] = (*data[3][:2], None)
    run = sn.fit({"train": data, "validation": data, "test": data}, NET, **QUICK)
    assert run.task.loaded["train"][3].y == sn.IGNORE


def tree(random, depth):
    from nltk import Tree

    if not depth:
        return Tree("up", [str(random.choice(["good", "bad"]))])
    below = [tree(random, depth - 1) for _ in range(random.integers(1, 4))]
    return Tree(str(random.choice(["up", "down"])), below)


@pytest.mark.parametrize("per_node", [None, True])
def test_nltk_trees(per_node):
    random = np.random.default_rng(0)
    trees = [tree(random, 2) for _ in range(20)]
    run = sn.fit(trees, NET, run="a", per_node=per_node, **QUICK)
    assert run.topology.arity is None and set(run.task.vocabulary.counts) == {"good", "bad"}
    found = sn.Run.load("a").predict(trees[:3])
    nodes = [node for one in trees[:3] for node in one.subtrees()]
    assert len(found) == (len(nodes) if per_node else 3)
    given = [node.label() for node in nodes] if per_node else [one.label() for one in trees[:3]]
    assert [one.given for one in found] == given


@pytest.mark.parametrize("undirected", [False, True])
def test_graphs_of_torch_geometric(undirected):
    from torch_geometric.data import Data

    random, graphs = np.random.default_rng(0), []
    for number in range(60):
        n = 3 + number % 3
        index = torch.tensor([range(n - 1), range(1, n)])
        index = torch.cat([index, index.flip(0)], dim=1) if undirected else index
        edge_attr = torch.randn(index.shape[1], 2)
        x = torch.from_numpy(random.normal(size=(n, 4)))
        graphs.append(Data(x, index, edge_attr, y=x.sum()[None]))
    run = sn.fit(graphs, NET, run="a", **QUICK)
    assert run.topology.takes == ("undirected" if undirected else "graph")
    assert run.task.edge_size == 2 and run.task.monitor == "rmse"
    assert len(sn.Run.load("a").predict(graphs[:2]).values) == 2


def test_rows_of_datasets_are_graphs():
    row = {"edge_index": [[0, 1], [1, 2]], "num_nodes": 3, "x": [[1.0], [2.0], [3.0]], "y": 1}
    run = sn.fit([{**row, "y": number % 2} for number in range(20)], NET, **QUICK)
    assert run.topology.takes == "graph" and len(run.predict([row])) == 1


def test_a_net_of_ones_own_is_loaded_by_giving_it_again(place):
    data = rows()
    run = sn.fit(data, Sums(), run="a", **QUICK)
    assert run.parts == ["module"]
    with pytest.raises(ValueError, match=r"a/config.yaml: .*Sums.*sn.Run.load\(DIR, net=net\)"):
        sn.Run.load("a")
    assert "sn.Run.load(DIR, net=net)" in refused("predict", "run=a", "text=x")
    assert "sn.fit(task, net)" in refused("train", "net=module")
    loaded = sn.Run.load("a", net=Sums())
    assert (loaded.predict(data).probability == run.predict(data).probability).all()
    with pytest.raises(ValueError, match="does not hold this net's weights"):
        sn.Run.load("a", net=Sums(3))


class Texts(sn.Task):
    """Whether a text has the word good."""

    structures, classes = ("sequence",), ("bad", "good")

    def load(self, topology):
        self.vocabulary = self.vocabulary or sn.Vocabulary.count(["good", "bad", "it", "is"], 1)
        texts = [f"it is {'good' if number % 2 else 'bad'}" for number in range(8)]
        samples = [self.read_text(sn.Origin("made", 1, text), topology) for text in texts]
        return {"train": samples, "validation": samples, "test": samples}

    def read_text(self, text, topology):
        words = text.text.split()
        x = self.vocabulary.tokens([[word] for word in words])
        return sn.Sample(len(words), x, int("good" in words))

    def read(self, path, topology):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            yield self.read_text(sn.Origin(path, number, line), topology)


@pytest.fixture
def texts():
    sn.tasks.register("some_texts")(Texts)
    return sn.fit("some_texts", NET, topology="chain", run="a", **QUICK)


def test_texts_frames_and_paths_get_the_numbers_of_the_command_line(place, texts):
    given = ["it is good", "bad bad"]
    status, out, err = call("predict", "run=a", *(f"text={one}" for one in given), "--json")
    assert status == 0, err
    told = json.loads(out)
    found = texts.predict(given)
    assert [round(one, 6) for one in found.probability] == [one["probability"] for one in told]
    assert [one["probabilities"] for one in found.as_dicts()] == [
        one["probabilities"] for one in told
    ]
    (place / "lines.txt").write_text("\n".join(given))
    for same in ([{"text": one} for one in given], [place / "lines.txt"], place / "lines.txt"):
        assert (texts.predict(same).probability == found.probability).all()
    samples = [texts.task.read_text(sn.Origin("", 1, one), texts.topology) for one in given]
    pairs = [(one.structure, one.x) for one in samples]
    assert (texts.predict(pairs).probability == found.probability).all()
    assert (texts.predict(samples).probability == found.probability).all()
    with pytest.raises(ValueError, match=r"data, row 1: task 'some_texts' reads texts.*got int"):
        texts.predict([3])
    with pytest.raises(ValueError, match=r'line 1: expected \{"text": "..."\} alone'):
        texts.predict([{"words": "it"}])


def test_a_frame_gets_a_frame(texts):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    given = {"text": ["it is good", "bad bad"]}
    found = texts.predict(given["text"])
    frame = texts.predict(pandas.DataFrame(given, index=[7, 9]))
    assert list(frame.index) == [7, 9] and isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == [
        "class", "probability", "probability of bad", "probability of good",
    ]  # fmt: skip
    assert (frame["probability"].to_numpy() == found.probability).all()
    other = texts.predict(polars.DataFrame(given))
    assert isinstance(other, polars.DataFrame)
    assert other["class"].to_list() == list(found.classes)


def test_frames_of_numbers_and_of_nodes():
    pandas = pytest.importorskip("pandas")
    data = rows(30, "numbers")
    run = sn.fit(data, NET, **QUICK)
    frame = pandas.DataFrame({"structure": [n for n, _, _ in data], "x": [x for _, x, _ in data]})
    found = run.predict(frame)
    assert list(found.columns) == ["value"] and len(found) == 30
    of_nodes = sn.fit(rows(30, "of nodes"), NET, **QUICK).predict(frame[:2])
    assert list(of_nodes.columns) == ["sample", "node", "class", "probability"]
    assert list(of_nodes["node"]) == [0, 1, 0, 1, 2]


class Framed(Texts):
    takes_data = True

    def load(self, topology):
        assert self.data == "given"
        return super().load(topology)


def test_a_named_task_reads_the_data_given(place):
    sn.tasks.register("framed")(Framed)
    run = sn.fit("framed", NET, data="given", topology="chain", run="a", **QUICK)
    assert sn.Run.load("a").task.data is None and run.task.data == "given"


class Seen(Callback):
    def __init__(self):
        self.epochs = 0

    def on_train_epoch_end(self, trainer, pl_module):
        self.epochs += 1


def test_callbacks_and_loggers_of_lightning_are_called(place):
    seen, logger = Seen(), CSVLogger("mine")
    kept = ModelCheckpoint("kept", monitor="validation/accuracy", mode="max", save_last=True)
    stop = EarlyStopping("validation/accuracy", patience=1, mode="max")
    trainer = {**TRAINER, "max_epochs": 3, "learning_rate": 1e-9}
    run = sn.fit(rows(), NET, trainer=trainer, quiet=True, callbacks=[seen, kept, stop],
                 logger=logger, run="a")  # fmt: skip
    assert seen.epochs == run.metrics["train"]["epochs"] == 2
    assert (place / "kept" / "last.ckpt").is_file()
    assert list((place / "mine").rglob("metrics.csv"))
    assert (place / "a" / "logs" / "version_0" / "metrics.csv").is_file()
    more = {**trainer, "max_epochs": 4}
    assert sn.fit(rows(), NET, trainer=more, quiet=True, resume="a", callbacks=[kept])


def test_a_run_goes_on_with_its_data(place):
    longer = {**TRAINER, "max_epochs": 2}
    whole = sn.fit(rows(), NET, trainer={**longer, "schedule": "constant"}, quiet=True, run="a")
    first = {**TRAINER, "schedule": "constant"}
    sn.fit(rows(), NET, trainer=first, quiet=True, run="b")
    gone_on = sn.fit(rows(), trainer={"max_epochs": 2}, quiet=True, resume="b")
    assert gone_on.metrics["train"]["epochs"] == 2
    for one, other in zip(whole.net.parameters(), gone_on.net.parameters(), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(ValueError, match=r"b has been trained for 2 epochs already"):
        sn.fit(rows(), resume="b", quiet=True)
    message = refused("train", "resume=b", "trainer.max_epochs=3")
    assert "its data was given in Python" in message and "resume=DIR" in message
    assert "its data was given in Python" in refused("test", "run=b")


def test_what_is_printed_is_told_but_for_a_quiet_run(capsys):
    sn.fit(rows(), NET, trainer=TRAINER)
    assert "majority" in capsys.readouterr().out
    sn.fit(rows(), NET, **QUICK)
    assert capsys.readouterr().out == ""


def with_x(x):
    return [(2, x, "a")] * 9


REFUSED = [
    (lambda: sn.fit([]), "data has no rows"),
    (lambda: sn.fit([7]), "data, row 0: a row is (structure, x, y)"),
    (lambda: sn.fit(with_x(np.ones((3, 1)))), "data, row 0: x has 3 rows, its structure 2 nodes"),
    (lambda: sn.fit(with_x([[1], [np.inf]])), "data, row 0: x is inf in row 1, column 0"),
    (lambda: sn.fit(with_x([[1], [1, 2]])), "data, row 0: x must be numbers"),
    (lambda: sn.fit([*rows(), (2, np.ones((2, 5)), "up")]), "data, row 30: x has 5 features"),
    (lambda: sn.fit([*rows(), (2, np.ones((2, 3)), ["a", "b"])]), "y has 1 targets, expected 2"),
    (lambda: sn.fit([(*one[:2], None) for one in rows()]), "no row of train has a target"),
    (lambda: sn.fit([*rows(), ("long", np.ones((2, 3)), "up")]), "data, row 30: a structure is"),
    (lambda: sn.fit([*rows(), ((1, 2), np.ones((2, 3)), "up")]), "of several kinds"),
    (lambda: sn.fit(rows(2)), "2 rows: validation and test are drawn"),
    (lambda: sn.fit({"train": rows(), "dev": []}), "no split 'dev' among"),
    (lambda: sn.fit({"test": rows()}), "no split 'train', only ['test']"),
    (lambda: sn.fit({"train": rows(), "test": []}), "test has no rows"),
    (lambda: sn.fit(rows(), loss="hubert"), "did you mean 'huber'?"),
    (lambda: sn.fit(rows(), loss="squared"), "y is the text"),
    (lambda: sn.fit(rows(), classes=3), "no option 'classes' of data"),
    (lambda: sn.fit(rows(), batches=0), "task.batches is at least 1, got 0"),
    (lambda: sn.fit(rows(), data=3), "data= is for a task that is named"),
    (lambda: sn.fit(rows(), topology="tree"), "a tree is an integer table"),
    (lambda: sn.fit(rows(), trainer={"max_epoch": 1}), "did you mean 'max_epochs'?"),
    (lambda: sn.fit(rows(), {"hidden_size": [4]}), "of net 'stack' takes int, got '[4]'"),
    (lambda: sn.fit(rows(), {"hidden_size": {4}}), "option 'hidden_size' of net must be a text"),
    (lambda: sn.fit(rows(), 4), "net is a name or a mapping of options"),
    (lambda: sn.fit(rows(), run="a", resume="b"), "run= is a new directory"),
    (lambda: sn.fit(rows(), callbacks=[print]), "a callback is one of lightning.pytorch, got"),
    (lambda: sn.fit(rows(), logger="wandb"), "a logger is one of lightning.pytorch, got"),
    (lambda: sn.fit("arithmetic", data=rows()), "task 'arithmetic' reads files, not data="),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_is_refused_is_named_and_leaves_no_directory(place, number):
    wrong, message = REFUSED[number]
    with pytest.raises((ValueError, KeyError)) as raised:
        wrong()
    assert message in str(raised.value)
    assert not list(place.iterdir())


def test_a_missing_logger_is_told_with_its_extra(place, monkeypatch):
    monkeypatch.setattr("structnet.training.logging.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install -e '.\[wandb\]'"):
        sn.fit(rows(), trainer={**TRAINER, "logger": "wandb"}, quiet=True)
    assert not list(place.iterdir())


def test_several_processes_are_refused(monkeypatch):
    monkeypatch.setattr(fitting, "launched", lambda: type("Launch", (), {"size": 2}))
    with pytest.raises(ValueError, match="torchrun -m structnet train"):
        sn.fit(rows())
