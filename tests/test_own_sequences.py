"""Own sequences on the command line: what is taken for what, figures, predictions, mistakes."""

import csv
import json
import re
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch
from commands import SMALL, call
from own_data import HEAD, visits
from pages import ROOT, run_page

import structnet as sn
from structnet.plugins.tables.prints import print_of_path

CHAIN = sn.topologies.create("chain")


def write_csv(path, rows, head=HEAD):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return path


@pytest.fixture
def file(tmp_path):
    return write_csv(tmp_path / "visits.csv", visits())


def task(path, **options):
    return sn.tasks.create("sequences", root=str(path), id="visit", order="minute", **options)


def loaded(one):
    return one, one.keep(one.load(CHAIN))


def test_a_table_is_trained_on_predicted_and_tested(file, tmp_path):
    run = tmp_path / "run"
    words = (f"task.root={file}", "task.id=visit", "task.order=minute", f"run={run}", *SMALL)
    status, out, err = call("train", "task=sequences", *words, "trainer.max_epochs=2")
    assert status == 0, err
    assert (
        "task.id=visit, task.order=minute, task.target=label, task.goal=class, task.steps=false"
        in out
    )
    assert "60 sequences of 2 to 5 steps" in out and "48 train, 6 validation, 6 test" in out
    assert "classes in training: sick 24, well 24" in out
    assert all(name in out for name in ("majority", "logistic regression", "boosted trees"))
    new = write_csv(tmp_path / "new.csv", [row[:5] for row in visits(3, seed=1)], HEAD[:5])
    said = json.loads(call("predict", f"run={run}", f"path={new}", "--json").out)
    assert [one["text"] for one in said] == ["v0", "v1", "v2"]
    assert said[0]["line"] == 2 and set(said[0]["probabilities"]) == {"sick", "well"}
    assert "given" not in said[0]
    again = json.loads(call("predict", f"run={run}", f"path={file}", "--json").out)
    assert [one["given"] for one in again] == ["well", "sick"] * 30
    assert call("test", f"run={run}").status == 0
    lacking = write_csv(tmp_path / "lacking.csv", [row[:2] for row in visits(3)], HEAD[:2])
    status, _, err = call("predict", f"run={run}", f"path={lacking}")
    said = "lacking.csv lacks 'drug', 'pulse', which the net was trained on: add them"
    assert status == 2 and said in err.replace("'pulse', 'drug'", "'drug', 'pulse'")


def test_objects_of_json_are_sequences(file, tmp_path):
    run = tmp_path / "run"
    words = (f"task.root={file}", "task.id=visit", "task.order=minute", f"run={run}", *SMALL)
    assert call("train", "task=sequences", *words, "trainer.max_epochs=1").status == 0
    again = sn.Run.open(run)
    again.load_learned()
    known = again.task
    rows = [row for row in visits() if row[0] == "v3"]
    steps = [dict(zip(HEAD[1:4], [row[1], row[2] or None, row[3]], strict=True)) for row in rows]
    place = sn.Origin("request", 1, "")
    sample = known.read_record({"age": rows[0][4], "steps": steps}, place, CHAIN)
    (same,) = [one for one in known.read(file, CHAIN) if one.origin.text == "v3"]
    assert np.array_equal(sample.x.numbers, same.x.numbers)
    assert np.array_equal(sample.x.tokens.ids, same.x.tokens.ids)
    assert np.array_equal(sample.condition, same.condition)
    with pytest.raises(ValueError, match=r'request, line 1: expected ."steps"'):
        known.read_record({"steps": []}, place, CHAIN)
    with pytest.raises(ValueError, match=r"request lacks 'drug', which the net was .*: add it"):
        known.read_record({"age": 3, "steps": [{"minute": 1, "pulse": 70}]}, place, CHAIN)


def test_constant_columns_are_a_condition_and_the_others_enter_at_steps(file):
    one, splits = loaded(task(file))
    static = one.schema["static"]
    assert [column["name"] for column in static["columns"]] == ["age"] and one.condition == 1
    names = [column["name"] for column in one.schema["columns"]]
    assert names == ["pulse", "drug", "minute since the step before"]
    sample = splits["train"][0]
    assert sample.condition.shape == (1,) and isinstance(sample.x, sn.Mixed)
    assert torch.isfinite(torch.from_numpy(sample.x.numbers)).all()


def test_rows_are_put_in_order(tmp_path):
    rows = [["b", 2, 20, 1], ["a", 2, 12, 0], ["a", 1, 11, 0], ["b", 1, 10, 1]]
    rows += [[f"c{n}", k, n / 7 + k * k, n % 2] for n in range(20) for k in (2, 1)]
    path = write_csv(tmp_path / "a.csv", rows, ["id", "t", "v", "y"])
    one = sn.tasks.create("sequences", root=str(path))
    one, _ = loaded(one)
    by_name = {sample.origin.text: sample for sample in one.read(path, CHAIN)}
    column = next(c for c in one.schema["columns"] if c["name"] == "v")
    values = by_name["b"].x[:, 0] * column["deviation"] + column["mean"]
    assert np.allclose(values, [10, 20])


def test_targets_of_steps_are_found_and_predicted(tmp_path):
    rows = [
        [f"s{n}", k, k + n / 9, "odd" if k % 2 else "even"] for n in range(30) for k in range(4)
    ]
    path = write_csv(tmp_path / "a.csv", rows, ["id", "t", "v", "label"])
    one, splits = loaded(sn.tasks.create("sequences", root=str(path)))
    assert one.schema["steps"] and one.scores_nodes(CHAIN) and one.readout(CHAIN) == "every"
    assert splits["train"][0].y.tolist() == [0, 1, 0, 1]
    assert one.baselines()["majority"]["accuracy"] == 0.5
    run = tmp_path / "run"
    words = (f"task.root={path}", f"run={run}", *SMALL, "trainer.max_epochs=1")
    assert call("train", "task=sequences", *words).status == 0
    said = json.loads(call("predict", f"run={run}", f"path={path}", "--json").out)
    assert len(said) == 120 and [one["node"] for one in said[:5]] == [0, 1, 2, 3, 0]


def test_numbers_are_predicted_in_their_unit(tmp_path):
    rows = [[f"s{n}", k, n / 7, n / 7 + 1000.5, n] for n in range(40) for k in range(3)]
    path = write_csv(tmp_path / "a.csv", rows, ["id", "t", "v", "y", "other"])
    one, splits = loaded(sn.tasks.create("sequences", root=str(path), ignore=("other",)))
    assert one.predicts_numbers and one.monitor == "rmse" and one.mode == "min"
    y = np.array([sample.y for sample in splits["train"]])
    assert one.scale == pytest.approx((y.mean(), y.std()))
    assert set(one.baselines()) == {"mean", "ridge", "boosted trees"}
    both = sn.tasks.create("sequences", root=str(path), target=("y", "other"))
    both, splits = loaded(both)
    batch = sn.collate(splits["test"], CHAIN)
    assert batch.y.shape == (len(splits["test"]), 2) and both.num_outputs == 2
    figures = both.measured(torch.zeros(len(batch.y), 2), batch)
    assert set(figures) == {"relative_rmse", "rmse of y", "rmse of other"}


@pytest.mark.parametrize("loss", ["squared", "absolute", "huber", "poisson", "quantile"])
def test_losses_of_numbers_ignore_what_is_not_known(tmp_path, loss):
    rows = [[f"s{n}", n / 7, n if n % 3 else ""] for n in range(40)]
    path = write_csv(tmp_path / "a.csv", rows, ["id", "v", "y"])
    one, splits = loaded(
        sn.tasks.create(
            "sequences",
            root=str(path),
            loss=loss,
            goal="number",
            quantile=0.9 if loss == "quantile" else None,
        )
    )
    batch = sn.collate(splits["train"], CHAIN)
    output = torch.zeros(len(batch.y), 1, requires_grad=True)
    one.loss(output, batch).backward()
    known = ~batch.y.isnan()
    assert (output.grad[known] != 0).any() and (output.grad[~known] == 0).all()
    if loss == "poisson":
        assert torch.equal(one.values(output), torch.ones(len(batch.y)))
        expected = (1 - batch.y[known] * 0).mean()
        assert one.loss(output, batch).item() == pytest.approx(expected.item())


def test_a_quantile_of_the_targets_is_learned(tmp_path):
    drawn = np.random.default_rng(0).exponential(size=400)
    rows = [[f"s{n}", n / 7, 10 + 4 * y if n % 7 else "", y] for n, y in enumerate(drawn)]
    path = write_csv(tmp_path / "a.csv", rows, ["id", "v", "y", "other"])
    options = {"root": str(path), "loss": "quantile", "quantile": 0.9}
    one, splits = loaded(sn.tasks.create("sequences", **options, target="y", ignore=("other",)))
    assert (one.monitor, one.mode, one.loss_unit) == ("pinball", "min", "standard deviations")
    batch = sn.collate(splits["train"], CHAIN)
    y = batch.y[~batch.y.isnan()].double().numpy()
    above = (y - one.scale[0]) / one.scale[1] - 0.3
    expected = np.maximum(0.9 * above, -0.1 * above).mean()
    output = torch.full((len(batch.y), 1), 0.3)
    assert one.loss(output, batch).item() == pytest.approx(expected, rel=1e-5)
    assert one.metrics().keys() == one.measured(output, batch).keys()
    metric = one.metrics()["pinball"]
    metric.update(*one.measured(output, batch)["pinball"])
    assert metric.compute().item() == pytest.approx(expected, rel=1e-5)
    # A net of features that are all alike has nothing to learn but the quantile.
    net, x = torch.nn.Linear(1, 1), torch.ones(len(batch.y), 1)
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(400):
        optimizer.zero_grad()
        one.loss(net(x), batch).backward()
        optimizer.step()
    learned = one.values(net(x))[0].item()
    assert (y < learned).mean() == pytest.approx(0.9, abs=0.02)
    figures = one.baselines()
    test = np.array([each.y for each in splits["test"]])
    at = np.quantile(y, 0.9)
    above = (test[~np.isnan(test)] - at) / one.scale[1]
    expected = np.maximum(0.9 * above, -0.1 * above).mean()
    assert figures["training quantile"]["pinball"] == pytest.approx(expected, rel=1e-4)
    assert figures.keys() == {"training quantile", "boosted trees"}
    both, splits = loaded(sn.tasks.create("sequences", **options, target=("y", "other")))
    assert both.monitor == "pinball" and "pinball" in both.metrics()
    batch = sn.collate(splits["test"], CHAIN)
    losses, weights = both.measured(torch.zeros(len(batch.y), 2), batch)["pinball"]
    assert len(losses) == weights.sum() == (~batch.y.isnan()).sum()


def test_a_run_learns_a_quantile(file, tmp_path):
    run = tmp_path / "run"
    words = (f"task.root={file}", "task.id=visit", "task.order=minute", "task.target=age", *SMALL)
    words = (
        *words,
        "task.loss=quantile",
        "task.quantile=0.9",
        f"run={run}",
        "trainer.max_epochs=2",
    )
    status, out, err = call("train", "task=sequences", *words, "trainer.max_epochs=2")
    assert status == 0, err
    assert "pinball" in out and "training quantile" in out
    assert "no better than always giving the mean" not in out
    assert json.loads((run / "metrics.json").read_text())["monitor"] == "pinball"


def test_a_balanced_loss_counts_every_class_alike(tmp_path):
    rows = [[f"s{n}", n / 7, "rare" if n % 5 == 0 else "often"] for n in range(50)]
    path = write_csv(tmp_path / "a.csv", rows, ["id", "v", "y"])
    options = {"loss": "balanced", "metrics": ("macro_f1", "balanced_accuracy")}
    one, splits = loaded(
        sn.tasks.create("sequences", root=str(path), monitor="macro_f1", **options)
    )
    batch = sn.collate(splits["train"], CHAIN)
    output = torch.zeros(len(batch.y), 2)
    output[:, 0] = 1.0
    log = output.log_softmax(1)
    often, rare = (batch.y == one.classes.index(name) for name in ("often", "rare"))
    expected = -(log[often, 0].mean() + log[rare, 1].mean()) / 2
    assert one.loss(output, batch).item() == pytest.approx(expected.item())
    # Two parts together have the loss of the whole, by their weights.
    parts = [sn.collate(splits["train"][at::2], CHAIN) for at in (0, 1)]
    outputs = [output[at::2] for at in (0, 1)]
    weights = [one.num_targets(*pair) for pair in zip(outputs, parts, strict=True)]
    losses = [one.loss(*pair) for pair in zip(outputs, parts, strict=True)]
    joined = sum(one * of for of, one in zip(weights, losses, strict=True)) / sum(weights)
    assert joined.item() == pytest.approx(expected.item())
    metrics = one.metrics()
    for name, pair in one.measured(output, batch).items():
        metrics[name].update(*pair)
    assert metrics["balanced_accuracy"].compute() == 0.5 and one.monitor == "macro_f1"


def test_files_of_splits_are_taken_as_they_are(tmp_path):
    for at, name in enumerate(("train", "validation", "test")):
        write_csv(tmp_path / f"{name}.csv", visits(10, seed=at))
    given = {name: str(tmp_path / f"{name}.csv") for name in ("train", "validation", "test")}
    one = sn.tasks.create("sequences", id="visit", order="minute", **given)
    with pytest.warns(sn.DataWarning) as told:
        _, splits = loaded(one)
    assert [str(each.message).split(":")[0] for each in told] == [
        f"sequences 'v0', 'v1', 'v2' and 7 more are in {first} and in {second}"
        for first, second in combinations(("train", "validation", "test"), 2)
    ]
    assert {name: len(some) for name, some in splits.items()} == dict.fromkeys(given, 10)
    with pytest.raises(ValueError, match=r"task\.root and task\.train are both given"):
        sn.tasks.create("sequences", root="a", train="b").find()
    with pytest.raises(ValueError, match=r"task\.test is given without task\.train"):
        sn.tasks.create("sequences", test="b").find()


def test_a_class_that_only_another_split_has_is_refused_by_row(tmp_path):
    write_csv(tmp_path / "train.csv", visits(10))
    rows = [[*row[:5], "odd"] for row in visits(4, seed=1)]
    write_csv(tmp_path / "test.csv", [["w" + row[0], *row[1:]] for row in rows])
    one = sn.tasks.create(
        "sequences", id="visit", order="minute",
        train=str(tmp_path / "train.csv"), test=str(tmp_path / "test.csv"),
    )  # fmt: skip
    with pytest.raises(
        ValueError, match=r"test\.csv, line 2, column 'label': 'odd', expected a cl"
    ):
        one.load(CHAIN)


def test_targets_that_are_missing_are_counted(tmp_path, capsys):
    steps = [(number, step) for number in range(20) for step in (0, 1)]
    rows = [[f"s{n}", k, n + k / 10, "" if n % 4 == k else n % 2] for n, k in steps]
    path = write_csv(tmp_path / "a.csv", rows, ["id", "t", "v", "y"])
    loaded(sn.tasks.create("sequences", root=str(path), goal="class", steps=True))
    assert "10 of 40 targets are missing: these are not learned" in capsys.readouterr().out


def test_equal_sequences_in_two_splits_are_told(tmp_path):
    rows = [[f"s{n}", k, float(k), n % 2] for n in range(20) for k in range(2)]
    path = write_csv(tmp_path / "a.csv", rows, ["id", "t", "v", "y"])
    with pytest.warns(sn.DataWarning) as told:
        loaded(sn.tasks.create("sequences", root=str(path)))
    assert [str(each.message).split(" are equal to one of training")[0] for each in told] == [
        "2 of 2 sequences of validation", "2 of 2 sequences of test",
    ]  # fmt: skip


def test_splits_go_by_column_group_and_time(file, tmp_path):
    frame = pd.read_csv(file)
    frame["part"] = frame["visit"].map(lambda name: ("train", "val", "test")[int(name[1:]) % 3])
    frame["house"] = frame["visit"].map(lambda name: int(name[1:]) // 6)
    frame.to_csv(tmp_path / "more.csv", index=False)
    more = tmp_path / "more.csv"
    _, splits = loaded(task(more, split_column="part", group="house"))
    assert {name: len(some) for name, some in splits.items()} == {
        "train": 20, "validation": 20, "test": 20,
    }  # fmt: skip
    _, splits = loaded(task(more, group="house", ignore=("part",)))
    houses = {
        name: {int(one.origin.text[1:]) // 6 for one in some} for name, some in splits.items()
    }
    assert not houses["train"] & houses["test"] and not houses["train"] & houses["validation"]
    _, splits = loaded(task(file, by_time=True))
    ends = frame.groupby("visit")["minute"].max()
    last = {name: [ends[one.origin.text] for one in some] for name, some in splits.items()}
    assert max(last["train"]) <= min(last["test"])


BAD = {
    "target": ("id,t,v\na,1,2\n", {}, "task.target is missing, and no column is called label"),
    "id": ("t,v,y\n1,2,0\n", {}, "task.id is missing, and no column is called id"),
    "named": ("id,t,v,y\na,1,2,0\n", {"id": "who"}, "has no column 'who', but 'id', 't', 'v', 'y'"),
    "ignored": ("id,t,v,y\na,1,2,0\n", {"order": "t", "ignore": ("t",)},
                "task.order names 't', which task.ignore leaves out"),
    "uses": ("id,v,y\na,1,0\n", {"order": "y"}, "column 'y' has two uses"),
    "twice": ("id,t,v,y\na,1,2,0\na,1,3,0\n", {}, "line 3, column 't': '1', expected each"),
    "order": ("id,t,v,y\na,soon,2,0\n", {}, "line 2, column 't': 'soon', expected a nu"),
    "place": ("id,t,v,y\na,1,2,0\na,,2,0\n", {}, "line 3, column 't': no value, expected the pla"),
    "name": ("id,t,v,y\n,1,2,0\na,1,2,0\n", {}, "line 2, column 'id': no value, expected the na"),
    "nothing": ("id,t,y\n" + "".join(f"s{n},1,{n % 2}\n" for n in range(20)), {},
                "no columns for the net to read"),
    "lacking": ("id,t,v,y\na,1,2,0\nb,1,3,1\nc,1,4,0\n", {}, "no sample is left for validation: 3"),
    "few": ("id,t,v,y\na,1,2,0\nb,1,3,1\n", {}, "2 samples are too few"),
    "one class": ("id,v,y\n" + "".join(f"s{n},{n},x\n" for n in range(9)), {}, "has the classes"),
    "steps": ("id,t,v,y\na,1,2,0\na,2,2,1\n", {"steps": False}, "line 3, column 'y': '1', expect"),
    "number": ("id,v,y\na,1,x\nb,2,1\nc,3,2\n", {"goal": "number"}, "line 2, column 'y': 'x'"),
    "loss": ("id,v,y\n" + "".join(f"s{n},{n},{n % 2}\n" for n in range(9)), {"loss": "huber"},
             "task.loss=huber is not for targets that are class"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_tables_that_can_not_be_trained_on_are_refused(tmp_path, kind):
    text, options, message = BAD[kind]
    path = tmp_path / "a.csv"
    path.write_text(text)
    one = sn.tasks.create("sequences", root=str(path), **options)
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        loaded(one)


def test_options_that_are_none_are_refused(file):
    for options, message in [
        ({"metrics": ("f2",)}, "task.metrics has 'f2', and metrics of classes are"),
        ({"metrics": ("confusion",)}, "structnet errors run=DIR prints which class is taken for"),
        ({"monitor": "macro_f1"}, "task.monitor=macro_f1 is none of the metrics accuracy"),
    ]:
        one, _ = loaded(task(file, **options))
        with pytest.raises(ValueError, match=message.replace(".", r"\.")):
            one.metrics()
    for options, message in [
        ({"loss": "quantile"}, "task.loss=quantile takes task.quantile=Q, such as"),
        ({"quantile": 0.9}, "task.quantile=0.9 is of task.loss=quantile, and task.loss=auto: set"),
        ({"loss": "quantile", "quantile": 1.0}, "task.quantile=1.0: a quantile lies above 0 and b"),
        ({"loss": "quantile", "quantile": -0.1}, "task.quantile=-0.1: a quantile lies above 0"),
    ]:
        with pytest.raises(ValueError, match=message.replace(".", r"\.")):
            task(file, **options)
    with pytest.raises(ValueError, match=r"task\.batches is at least 1"):
        task(file, batches=0)
    with pytest.raises(FileNotFoundError, match=r"no file or folder nowhere\.csv \(task\.root\)"):
        task("nowhere.csv").find()


def test_little_data_has_many_batches(file):
    one, splits = loaded(task(file))
    some = one.loader(splits["train"], CHAIN, batch_nodes=2048, shuffle=True)
    assert len(some) >= 25
    whole = task(file, batches=1)
    assert len(whole.loader(splits["train"], CHAIN, batch_nodes=2048, shuffle=True)) == 1


@pytest.mark.parametrize("topology", ["chain", "bichain"])
@pytest.mark.parametrize("condition", ["input", "initial"])
def test_every_cell_reads_own_sequences(file, topology, condition):
    one, splits = loaded(task(file))
    on = sn.topologies.create(topology)
    batch = sn.collate(splits["test"], on)
    sizes = sn.Sizes(one.vocabulary, one.input_size, one.num_outputs, condition=one.condition)
    for cell in sn.cells.names():
        if sn.cells.create(cell, 1, 1, 1).reads_own:
            continue
        net = sn.nets.create("stack", sizes, on, cell, "root", condition=condition, hidden_size=4)
        one.loss(net(batch), batch).backward()


@pytest.mark.slow
def test_the_page_does_what_it_says(tmp_path):
    out = run_page("docs/own-sequences.md", tmp_path)
    assert "640 train, 80 validation, 80 test" in out and "boosted trees" in out
    shown = re.search(r"^pulse +number.*$", (ROOT / "docs/own-sequences.md").read_text(), re.M)[0]
    assert shown in [line.rstrip() for line in out.splitlines()]
    with (tmp_path / "predictions.csv").open() as file:
        assert {row["class"] for row in csv.DictReader(file)} <= {"ill", "well"}


def test_files_that_have_changed_since_training_are_told(file, tmp_path):
    run = tmp_path / "run"
    words = (f"task.root={file}", "task.id=visit", "task.order=minute", f"run={run}", *SMALL)
    assert call("train", "task=sequences", *words, "trainer.max_epochs=1").status == 0
    assert "has changed" not in call("test", f"run={run}").err
    write_csv(file, visits(seed=1))
    said = call("test", f"run={run}").err
    assert f"{file} has changed since the net was trained on it" in said
    other = write_csv(tmp_path / "other.csv", visits(seed=2))
    assert "has changed" not in call("test", f"run={run}", f"task.root={other}").err


def same_samples(first, second):
    assert [one.origin.text for one in first] == [one.origin.text for one in second]
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.x.numbers, other.x.numbers)
        assert np.array_equal(one.x.tokens.ids, other.x.tokens.ids)
        assert np.array_equal(one.x.tokens.ptr, other.x.tokens.ptr)
        assert np.array_equal(one.condition, other.condition) and one.y == other.y
        assert one.structure == other.structure


def in_parts(folder, kind):
    """The visits in several parts: files of a folder, or row groups that cut sequences."""
    frame = pd.DataFrame(visits(), columns=HEAD)
    frame["pulse"] = pd.to_numeric(frame["pulse"])
    if kind == "groups":
        frame.to_parquet(folder / "visits.parquet", row_group_size=7)
        return folder / "visits.parquet"
    (folder / "parts").mkdir()
    for at in range(3):
        part = frame[frame["visit"].map(lambda name, at=at: int(name[1:]) // 20 == at)]
        part.to_csv(folder / "parts" / f"{at}.csv", index=False)
    return folder / "parts"


@pytest.mark.parametrize("kind", ["files", "groups"])
def test_data_that_is_read_in_parts_is_the_same(tmp_path, monkeypatch, kind):
    monkeypatch.setenv("STRUCTNET_CACHE", str(tmp_path / "cache"))
    path = in_parts(tmp_path, kind)
    _, whole = loaded(task(path))
    one, lazy = loaded(task(path, lazy=True))
    assert one.condition == 1
    for name, some in whole.items():
        same_samples(some, lazy[name])
    # It is read from the folder from then on, and anew where the data is another.
    (folder,) = (tmp_path / "cache" / "data").iterdir()
    before = (folder / "meta.json").stat().st_mtime_ns
    loaded(task(path, lazy=True))
    assert (folder / "meta.json").stat().st_mtime_ns == before
    file = path / "0.csv" if path.is_dir() else path
    file.write_bytes(file.read_bytes().replace(b"70.", b"71.")) if path.is_dir() else None
    if path.is_dir():
        _, changed = loaded(task(path, lazy=True))
        assert any(
            not np.array_equal(a.x.numbers, b.x.numbers)
            for a, b in zip(lazy["train"], changed["train"], strict=True)
        )


def test_a_sequence_in_several_parts_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("STRUCTNET_CACHE", str(tmp_path / "cache"))
    path = in_parts(tmp_path, "files")
    (path / "9.csv").write_text((path / "0.csv").read_text())
    with pytest.raises(
        ValueError, match=r"9\.csv, line 2, column 'visit': 'v0', expected all rows"
    ):
        loaded(task(path, lazy=True))
    assert not list((tmp_path / "cache").rglob("*.bin"))
    with pytest.raises(ValueError, match=r"task\.lazy reads a folder of files or a Parquet file"):
        loaded(task(path / "0.csv", lazy=True))
    monkeypatch.setenv("STRUCTNET_CACHE", "")
    with pytest.raises(ValueError, match="STRUCTNET_CACHE, which is set to none"):
        loaded(task(in_parts(tmp_path, "groups"), lazy=True))


def test_a_run_on_parts_is_tested_and_predicts(tmp_path, monkeypatch):
    monkeypatch.setenv("STRUCTNET_CACHE", str(tmp_path / "cache"))
    path, run = in_parts(tmp_path, "files"), tmp_path / "run"
    words = (f"task.root={path}", "task.id=visit", "task.order=minute", f"run={run}", *SMALL)
    status, _, err = call(
        "train", "task=sequences", "task.lazy=true", *words, "trainer.max_epochs=1"
    )
    assert status == 0, err
    assert call("test", f"run={run}").status == 0
    assert len(json.loads(call("predict", f"run={run}", f"path={path}", "--json").out)) == 60


def frame_of_steps():
    """Steps whose class is told by their number, in the order of time."""
    pulse = np.random.default_rng(0).normal(size=80)
    return pd.DataFrame(
        {
            "visit": np.repeat([f"v{at}" for at in range(20)], 4),
            "minute": np.tile(np.arange(4), 20),
            "pulse": pulse,
            "label": np.where(pulse > 0, "high", "low"),
        }
    )


def test_predictions_of_steps_stand_in_the_rows_of_the_frame(tmp_path):
    frame = frame_of_steps()
    options = {"id": "visit", "order": "minute", "run": tmp_path / "run", "quiet": True}
    trainer = {"max_epochs": 8, "num_workers": 0, "learning_rate": 0.05}
    run = sn.fit(
        "sequences", {"hidden_size": 8}, data=frame, steps=True, trainer=trainer, **options
    )
    mixed = frame.sample(frac=1, random_state=0)
    said, shuffled = run.predict(frame), run.predict(mixed)
    assert shuffled.index.equals(mixed.index)
    assert (shuffled["class"] == said["class"].loc[mixed.index]).all()
    assert (said["class"] == frame["label"]).mean() > 0.8
    # Of rows of a table the line of each step.
    mixed.to_csv(tmp_path / "mixed.csv", index=False)
    lines = json.loads(call("predict", f"run={run.directory}", f"path={tmp_path / 'mixed.csv'}",
                            "--json").out)  # fmt: skip
    assert sorted(one["line"] for one in lines) == list(range(2, 82))


def test_predictions_of_sequences_are_called_by_them(tmp_path):
    frame = frame_of_steps()
    frame["label"] = frame.groupby("visit")["label"].transform("first")
    run = sn.fit(
        "sequences", {"hidden_size": 4}, data=frame, id="visit", order="minute", quiet=True,
        trainer={"max_epochs": 1, "num_workers": 0}, run=tmp_path / "run",
    )  # fmt: skip
    said = run.predict(frame.iloc[::-1])
    assert said["sample"].tolist() == [f"v{at}" for at in reversed(range(20))]
    assert said.index.tolist() == list(range(20))


def test_what_is_constant_and_splits_do_not_change_in_a_sequence(tmp_path):
    rows = list(visits())
    file = write_csv(tmp_path / "visits.csv", rows)
    one, _ = loaded(task(file))
    assert [column.name for column in one.encoder.static.schema.columns] == ["age"]
    changed = [row.copy() for row in rows]
    changed[1][4] += 1
    with pytest.raises(ValueError, match=r"line 3, column 'age'.*as in the first row.*static"):
        list(one.read(write_csv(tmp_path / "changed.csv", changed), CHAIN))
    with pytest.raises(ValueError, match="line 3, column 'age'"):
        loaded(task(tmp_path / "changed.csv", static=["age"]))
    parts = [[*row, "train" if number % 3 else "test"] for number, row in enumerate(rows)]
    file = write_csv(tmp_path / "parts.csv", parts, [*HEAD, "part"])
    with pytest.raises(ValueError, match=r"column 'part'.*a sequence is in one split"):
        loaded(task(file, split_column="part"))


def test_a_word_among_places_is_named(tmp_path):
    rows = [["a", at if at != 2 else "yesterday", 1, "x", 3, "y"] for at in range(4)]
    with pytest.raises(ValueError, match="line 4, column 'minute': 'yesterday'"):
        loaded(task(write_csv(tmp_path / "odd.csv", rows)))


def test_several_targets_may_have_dots_and_be_given_as_a_list(tmp_path):
    frame = frame_of_steps().drop(columns="label")
    frame["max.x"], frame["max.y"] = frame["pulse"] * 2.5, frame["pulse"] - 1.5
    run = sn.fit(
        "sequences", {"hidden_size": 4}, data=frame, id="visit", order="minute", quiet=True,
        target=["max.x", "max.y"], trainer={"max_epochs": 1, "num_workers": 0},
        run=tmp_path / "run",
    )  # fmt: skip
    assert {"rmse of max.x", "rmse of max.y"} <= set(run.metrics["test"])


def test_a_change_in_the_middle_of_a_large_file_is_noticed(tmp_path):
    path = tmp_path / "large.csv"
    path.write_bytes(b"a\n" * 2_000_000)
    before = print_of_path(path)
    with path.open("r+b") as file:
        file.seek(2_000_000)
        file.write(b"b")
    assert print_of_path(path) != before


@pytest.mark.parametrize("timed", [True, False])
def test_steps_that_are_ordered_by_another_kind_are_refused(tmp_path, timed):
    def rows(timed):
        for n, day in ((n, day) for n in range(20) for day in (1, 2, 4)):
            yield [f"s{n}", f"2024-01-{day:02}" if timed else day, n * day, n % 2]

    names = ["id", "t", "v", "y"]
    path = write_csv(tmp_path / "a.csv", rows(timed), names)
    other = write_csv(tmp_path / "b.csv", rows(not timed), names)
    one, _ = loaded(sn.tasks.create("sequences", root=str(path)))
    assert len(list(one.read(path, CHAIN))) == 20
    kinds = ["a number, such as .*; this is a time", "a time, such as .*; this is a number"]
    with pytest.raises(
        ValueError, match=rf"b\.csv, line 2, column 't': .*, expected {kinds[timed]}"
    ):
        list(one.read(other, CHAIN))
    both = {"train": str(path), "validation": str(other)}
    with pytest.raises(ValueError, match=r"b\.csv, line 2, column 't'"):
        loaded(sn.tasks.create("sequences", **both))


@pytest.mark.parametrize("steps", [True, False])
def test_negative_targets_are_no_counts(tmp_path, steps):
    rows = [[f"s{n}", n / 7, -2.5 if n == k == 1 or (n == 1 and not steps) else n + k * steps]
            for n in range(40) for k in range(2)]  # fmt: skip
    path = write_csv(tmp_path / "a.csv", rows, ["id", "v", "y"])
    options = {"train": str(path), "loss": "poisson", "goal": "number"}
    message = rf"a\.csv, line 4{', step or node 2' * steps}: -2\.5 in y, expected counts"
    with pytest.raises(ValueError, match=message):
        loaded(sn.tasks.create("sequences", **options))
    one, _ = loaded(sn.tasks.create("sequences", **options | {"loss": "huber"}))
    assert one.predicts_numbers
