"""What nets get wrong of own data is listed: which class for which, and where."""

import json
from collections import Counter

import pytest
from commands import SMALL, call
from own_data import KINDS, source


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
