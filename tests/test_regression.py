import json
import re

import numpy as np
import pytest
import torch
from commands import SMALL, call, isolated, opened
from scipy.stats import pearsonr

import structnet as sn
from structnet.training.predict import predictions

CHAIN = sn.topologies.create("chain")


class Line:
    """A line of a user's file."""

    def __init__(self, path, line, text):
        self.path, self.line, self.text = path, line, text


class Sums(sn.Regression):
    """The sum of a sequence's numbers, in metres; of single numbers where `nodes`."""

    structures = ("sequence",)
    unit = "m"
    input_size = 1
    kinds = ("short", "long")

    def __init__(self, *, nodes: bool = False, root: str | None = None):
        self.nodes, self.root = nodes, root

    def load(self, topology):
        random = np.random.default_rng(0)
        splits = {
            split: [self.sample(random.normal(size=1 + i % 5)) for i in range(count)]
            for split, count in (("train", 30), ("validation", 10), ("test", 10))
        }
        self.standardise(np.hstack([sample.y for sample in splits["train"]]))
        return splits

    def read(self, path, topology):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            x = [float(word) for word in line.split()]
            yield self.sample(np.array(x), Line(path, number, line), known=False)

    def sample(self, numbers, origin=None, known=True):
        y = 1000 + 100 * (numbers if self.nodes else numbers.sum())
        x = numbers[:, None].astype(np.float32)
        y = np.asarray(y if known else np.nan * y, np.float32)
        return sn.Sample(len(numbers), x, y, int(len(numbers) > 3), origin)


def loaded(split, **options):
    task = Sums(**options)
    return task, sn.collate(task.load(CHAIN)[split], CHAIN)


def measured(task, output, batch):
    metrics = task.metrics()
    for name, (outputs, targets) in task.measured(output, batch).items():
        metrics[name].update(outputs, targets)
    return {name: metric.compute().item() for name, metric in metrics.items()}


def test_the_training_targets_have_mean_0_and_deviation_1_for_the_net():
    task, batch = loaded("train")
    mean, deviation = task.scale
    assert np.allclose([mean, deviation], [batch.y.mean(), batch.y.std(correction=0)])
    exact = ((batch.y - mean) / deviation)[:, None]
    assert task.loss(exact, batch) < 1e-9 and task.num_outputs == 1
    assert torch.allclose(task.values(exact), batch.y)
    assert torch.isclose(task.loss(torch.zeros(len(batch.y), 1), batch), torch.ones(()))


def test_figures_are_in_the_unit_of_the_target():
    task, batch = loaded("test")
    output = torch.randn(len(batch.y), 1)
    values, y = task.values(output).numpy(), batch.y.numpy()
    rmse = np.sqrt(np.mean((values - y) ** 2))
    assert measured(task, output, batch) == {
        "rmse": pytest.approx(rmse, rel=1e-5),
        "relative_rmse": pytest.approx(rmse / task.scale[1], rel=1e-5),
        "mae": pytest.approx(np.abs(values - y).mean(), rel=1e-5),
        "pearson": pytest.approx(pearsonr(values, y)[0], rel=1e-4),
        **{
            name: pytest.approx(np.sqrt(np.mean((values - y)[mine] ** 2)), rel=1e-5)
            for name, mine in zip(task.kinds, (batch.kind == 0, batch.kind == 1), strict=True)
        },
    }
    assert (task.monitor, task.mode) == ("rmse", "min")


@pytest.mark.parametrize("nodes", [False, True])
def test_what_is_not_known_counts_neither_in_the_loss_nor_in_the_figures(nodes):
    task, batch = loaded("test", nodes=nodes)
    unknown = torch.arange(len(batch.y)) % 3 == 0
    output = torch.randn(len(batch.y), 1, requires_grad=True)
    batch.y[unknown] = torch.nan
    task.loss(output, batch).backward()
    assert torch.equal(output.grad[:, 0] == 0, unknown)
    other = torch.where(unknown[:, None], 1e6, output.detach())
    assert measured(task, output.detach(), batch) == measured(task, other, batch)


def test_a_net_that_answers_for_nodes_where_samples_have_targets_is_refused():
    task, batch = loaded("test")
    with pytest.raises(ValueError, match=r"a target per sample, the net gives .* readout=root"):
        task.loss(torch.zeros(batch.num_nodes, 1), batch)


@pytest.mark.parametrize(("targets", "mean"), [([], "nan"), ([1.0, np.inf], "inf"), ([np.nan], "")])
def test_targets_without_a_finite_mean_are_refused(targets, mean):
    with pytest.raises(ValueError, match=rf"Sums: the mean of \d known training targets is {mean}"):
        Sums().standardise(targets)


def test_equal_targets_have_a_deviation_of_1_and_a_scale_that_is_there_is_kept():
    task = Sums()
    task.standardise([3.0, 3.0])
    assert task.scale == (3.0, 1.0)
    task.standardise([5.0, 9.0])
    assert task.scale == (3.0, 1.0)
    with pytest.raises(ValueError, match="knows no scale of its targets"):
        Sums().values(torch.zeros(1, 1))


def test_a_net_learns_sums_and_says_them_of_a_users_file(tmp_path):
    with isolated():
        sn.tasks.register("sums")(Sums)
        words = ["task=sums", "topology=chain", *SMALL, "trainer.max_epochs=30"]
        status, out, err = call("train", *words, "net.hidden_size=16", f"run={tmp_path / 'run'}",
                                "trainer.learning_rate=0.03", "net.dropout=0")  # fmt: skip
        assert status == 0, err
        assert "rmse" in out and "predict" in out
        assert json.loads((tmp_path / "run" / "metrics.json").read_text())["test"]["pearson"] > 0.9
        (tmp_path / "mine.txt").write_text("0.5 0.25\n-1.0\n")
        said = call("predict", f"run={tmp_path / 'run'}", f"path={tmp_path / 'mine.txt'}").out
        lines = re.findall(r"mine\.txt:(\d): .* \(([\d.]+) m\)\n", said)
        assert [number for number, _ in lines] == ["1", "2"]
        assert float(lines[0][1]) > 1000 > float(lines[1][1])
        said = call("predict", "--json", f"run={tmp_path / 'run'}", f"path={tmp_path / 'mine.txt'}")
        (first, _) = json.loads(said.out)
        assert set(first) == {"file", "line", "text", "value", "unit"}
        assert first["value"] == pytest.approx(float(lines[0][1]), rel=1e-4)
        assert call("test", f"run={tmp_path / 'run'}").status == 0


def test_a_description_without_what_the_task_learned_is_refused(tmp_path):
    with isolated():
        sn.tasks.register("sums")(Sums)
        words = ["task=sums", "topology=chain", *SMALL, "debug=steps", f"run={tmp_path / 'run'}"]
        assert call("train", *words).status == 0
        file = tmp_path / "run" / "config.json"
        described = json.loads(file.read_text())
        assert described["learned"] == {"scale": list(loaded("train")[0].scale)}
        del described["learned"]
        file.write_text(json.dumps(described))
        # As a run from before there were manifests.
        (tmp_path / "run" / "manifest.json").unlink()
        with pytest.raises(ValueError, match=r"config\.json is not a saved model's description"):
            opened(tmp_path / "run").load_net()


class Several(sn.Regression):
    structures, input_size, outputs = ("sequence",), 1, ("height", "weight")

    def load(self, topology):
        return {}


def several(y):
    task = Several()
    task.standardise(y)
    samples = [
        sn.Sample(2, np.zeros((2, 1), np.float32), row[None].astype(np.float32)) for row in y
    ]
    return task, sn.collate(samples, sn.topologies.create("chain"))


def test_several_numbers_have_a_scale_each():
    y = np.array([[1.0, 10.0], [3.0, np.nan], [5.0, 30.0]])
    task, batch = several(y)
    assert batch.y.shape == (3, 2) and task.num_outputs == 2
    assert np.allclose(task.scale, [[3, np.std([1, 3, 5])], [20, 10]])
    output = torch.zeros(3, 2)
    assert torch.equal(task.values(output), torch.tensor([[3.0, 20.0]] * 3))
    assert task.loss(output, batch).item() == pytest.approx((1.5 + 0 + 1.5 + 1 + 1) / 5)
    assert task.num_targets(output, batch) == 5


def test_the_figures_of_several_numbers_are_of_those_known():
    y = np.array([[1.0, 10.0], [3.0, np.nan], [5.0, 30.0]])
    task, batch = several(y)
    metrics = task.metrics()
    for name, pair in task.measured(torch.zeros(3, 2), batch).items():
        metrics[name].update(*pair)
    figures = {name: metric.compute().item() for name, metric in metrics.items()}
    assert figures["rmse of weight"] == pytest.approx(10)
    assert figures["rmse of height"] == pytest.approx(np.std([1, 3, 5]))
    assert figures["relative_rmse"] == pytest.approx(1)
    assert set(figures) == {"relative_rmse", "rmse of height", "rmse of weight"}


def test_predictions_of_several_numbers_are_named():
    task, _ = several(np.array([[1.0, 10.0], [3.0, 30.0]]))
    (said,) = predictions(task, torch.ones(1, 2), [sn.Origin("a", 1, "b")])
    assert said.values == {"height": 3.0, "weight": 30.0}
    assert said.verdict == "height 3, weight 30" and said.as_dict()["values"] == said.values


def test_numbers_far_from_zero_have_exact_figures():
    task = Sums()
    y = 1.7e9 + np.array([0.0, 1.0, 2.0, 5.0])
    task.standardise(y)
    samples = [sn.Sample(1, np.zeros((1, 1), np.float32), one) for one in y]
    batch = sn.collate(samples, CHAIN)
    output = torch.tensor([[0.5], [0.0], [-0.5], [0.25]])
    assert batch.y.dtype == torch.float64
    found, errors = measured(task, output, batch), output.numpy()[:, 0] * y.std() + y.mean() - y
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-5)
    assert found["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-5)
    loss = np.mean((errors / y.std()) ** 2)
    assert float(task.loss(output, batch)) == pytest.approx(loss, rel=1e-5)
    said = [one.value for one in predictions(task, output, [None] * 4)]
    assert said == pytest.approx((errors + y).tolist(), rel=1e-12)
