"""A trained net fed one step at a time in Python."""

import csv
import random

import pytest

import structnet as sn

QUICK = {"max_epochs": 1, "num_workers": 0}
STEPS = [{"pulse": 71.5, "drug": "a"}, {"pulse": 80.0, "drug": "b"}, {"pulse": 60.0, "drug": "a"}]


def table(folder):
    draw = random.Random(0)
    with open(folder / "visits.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["visit", "pulse", "drug", "label"])
        for visit in range(40):
            for _ in range(draw.randrange(1, 6)):
                label = ("ill", "well")[visit % 2]
                rows.writerow([visit, draw.gauss(70, 4), draw.choice("ab"), label])
    return folder / "visits.csv"


def trained_on(path, topology="chain"):
    return sn.fit("sequences", {"hidden_size": 4}, topology=topology, cell="gru", trainer=QUICK,
                  run=str(path.parent / "run"), root=str(path), id="visit",
                  target="label")  # fmt: skip


def test_what_is_pushed_step_by_step_is_predicted_as_the_whole(tmp_path):
    trained_on(table(tmp_path))
    run = sn.Run.load(tmp_path / "run")
    stream = run.stream()
    for count in range(1, len(STEPS) + 1):
        said = stream.push({"steps": STEPS[count - 1 : count]})
        (whole,) = run.predict([{"steps": STEPS[:count]}]).as_dicts()
        assert said["class"] == whole["class"] and stream.steps == count
        assert said["probability"] == pytest.approx(whole["probability"], abs=1e-5)
    several = run.stream().push({"steps": STEPS})
    assert several["probability"] == pytest.approx(said["probability"], abs=1e-5)
    # What is no record changes nothing.
    for record, message in (({"steps": []}, "at least one step"), ({"steps": [{}]}, "pulse")):
        with pytest.raises(ValueError, match=message):
            stream.push(record)
    assert stream.steps == len(STEPS)
    (whole,) = run.predict([{"steps": [*STEPS, STEPS[0]]}]).as_dicts()
    said = stream.push({"steps": STEPS[:1]})
    assert said["probability"] == pytest.approx(whole["probability"], abs=1e-5)


def test_a_run_that_reads_what_has_not_come_says_why(tmp_path):
    trained_on(table(tmp_path), "bichain")
    with pytest.raises(ValueError, match=r"run can't be fed .* from the end of a sequence"):
        sn.Run.load(tmp_path / "run").stream()


def test_a_run_that_reads_what_is_constant_says_which(tmp_path):
    path = table(tmp_path)
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([f"{head},age", *(f"{row},{row.split(',')[0]}" for row in rows)]))
    run = trained_on(path)
    with pytest.raises(ValueError, match=r"constant in a sequence, age: .*task.ignore=\[age\]"):
        run.stream()
