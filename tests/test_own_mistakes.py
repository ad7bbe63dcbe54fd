"""What nets get wrong of own data is listed: which class for which, numbers, and where."""

import json
import random
from collections import Counter

import pandas as pd
import pytest
from commands import SMALL, call, refused
from own_data import KINDS, source

import structnet as sn
from structnet.training.misses import find_misses


@pytest.mark.parametrize("kind", KINDS)
def test_confusions_are_those_of_the_predictions(kind, tmp_path):
    path, _ = source(kind, tmp_path)
    run = tmp_path / "run"
    words = (*KINDS[kind], f"task.root={path}", f"run={run}", *SMALL, "trainer.max_epochs=1")
    assert call("train", *words).status == 0
    status, out, err = call("errors", f"run={run}", "split=train", "top=60", "--json")
    assert status == 0, err
    found = json.loads(out)
    assert found["decided"] == 48 and 0 < found["wrong"] < 48
    said = json.loads(call("predict", f"run={run}", f"path={path}", "--json").out)
    predicted = {one["line"]: one for one in said}
    pairs = Counter()
    for one in found["worst"]:
        assert predicted[one["line"]]["class"] == one["predicted"] != one["class"]
        pairs[one["class"], one["predicted"]] += 1
    assert {(one["class"], one["predicted"]): one["count"] for one in found["confusions"]} == pairs
    shown = call("errors", f"run={run}", "split=train").out
    assert f"{found['wrong']} of 48 wrong in train" in shown and "taken for" in shown


def numbered(folder, targets):
    """Chains whose nodes have numbers, by target: own data with several numbers of a sequence."""
    draw = random.Random(0)
    rows = []
    for name in range(60):
        values = [draw.gauss(0, 1) for _ in range(2 + name % 3)]
        y = [round(sum(values) * 10**at, 6) for at in range(len(targets))]
        rows += [[name, minute, value, *y] for minute, value in enumerate(values)]
    pd.DataFrame(rows, columns=["id", "minute", "x", *targets]).to_csv(
        folder / "f.csv", index=False
    )
    return folder / "f.csv"


@pytest.mark.parametrize("targets", [("y",), ("y", "z")], ids=["one", "two"])
def test_numbers_that_are_furthest_off_are_those_of_the_predictions(targets, tmp_path):
    path, run = numbered(tmp_path, targets), tmp_path / "run"
    words = ("task=sequences", "task.id=id", "task.order=minute", f"task.root={path}",
             f"task.target=[{','.join(targets)}]")  # fmt: skip
    assert call("train", *words, f"run={run}", *SMALL, "trainer.max_epochs=1").status == 0
    status, out, err = call("errors", f"run={run}", "split=train", "top=200", "--json")
    assert status == 0, err
    found = json.loads(out)
    said = {}
    for one in json.loads(call("predict", f"run={run}", f"path={path}", "--json").out):
        said[one["line"]] = one["values"] if len(targets) > 1 else {"y": one["value"]}
    frame = pd.read_csv(path)
    off = {name: [] for name in targets}
    for one in found["worst"]:
        name = one.get("target", "y")
        assert one["predicted"] == pytest.approx(said[one["line"]][name], rel=1e-5)
        assert one["true"] == pytest.approx(frame[name][one["line"] - 2], rel=1e-5)
        off[name].append(abs(one["predicted"] - one["true"]))
    for spread, name in zip(found["off"], targets, strict=True):
        assert spread["target"] == (name if len(targets) > 1 else None)
        assert spread["known"] == len(off[name]) == 48
        assert off[name] == sorted(off[name], reverse=True)
        assert spread["most"] == pytest.approx(off[name][0])
        assert spread["half"] == pytest.approx(off[name][24])
        assert spread["nine_tenths"] == pytest.approx(off[name][4])
    shown = call("errors", f"run={run}", "split=train", "top=3").out
    assert "of 48 numbers in train, half are off by at most" in shown
    assert f"... {48 * len(targets) - 3} more; top=N shows N" in shown
    page = tmp_path / "page.html"
    assert call("errors", f"run={run}", f"out={page}", "top=2").out.endswith("(2 numbers)\n")
    assert page.read_text().count("predicted") == 2


def test_numbers_of_nodes_have_the_node_and_unknown_ones_none(tmp_path):
    rows = [{"structure": 3, "x": [[1.0], [2.0], [3.0]], "y": [0.5, None, float(at)]}
            for at in range(30)]  # fmt: skip
    run = sn.fit(rows, {"hidden_size": 4}, run=tmp_path / "run", quiet=True,
                 trainer={"max_epochs": 1, "num_workers": 0})  # fmt: skip
    found = find_misses(run, run.net, run.task.loaded["train"], 10)
    (spread,) = found.spreads
    assert spread.known == 2 * len(run.task.loaded["train"])
    assert found.worst[0].node == 2 and found.worst[0].true in (0.0, 28.0, 29.0)
    every = find_misses(run, run.net, run.task.loaded["train"], 99).worst
    assert {one.node for one in every} == {0, 2}


def test_forecasts_say_that_they_are_numbers_of_another_kind(tmp_path):
    frame = pd.DataFrame({"day": pd.date_range("2024-01-01", periods=80), "sales": range(80)})
    frame.to_csv(tmp_path / "sales.csv", index=False)
    words = ("task=forecast", f"task.root={tmp_path / 'sales.csv'}", "task.target=sales",
             "task.order=day", "task.horizon=2", f"run={tmp_path / 'run'}")  # fmt: skip
    assert call("train", *words, *SMALL, "trainer.max_epochs=1").status == 0
    assert "task 'forecast' predicts something else" in refused("errors", f"run={tmp_path / 'run'}")


def test_a_net_that_gives_no_numbers_is_told(tmp_path):
    rows = [(2, [[1.0], [2.0]], float(at)) for at in range(30)]
    run = sn.fit(rows, {"hidden_size": 4}, run=tmp_path / "run", quiet=True,
                 trainer={"max_epochs": 1, "num_workers": 0})  # fmt: skip
    for weights in run.net.parameters():
        weights.data.fill_(float("nan"))
    with pytest.raises(ValueError, match="gives nan or infinity, so that there is nothing"):
        find_misses(run, run.net, run.task.loaded["test"], 10)
