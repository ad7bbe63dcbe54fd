"""The book's page of results: what is kept of runs, and the tables made from it."""

import json
import math
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))

from result_pages import gave, kept_in, with_gave, write_results  # noqa: E402

runs_of = runpy.run_path(str(ROOT / "docs" / "results" / "measure.py"))["runs_of"]
KEPT = sorted((ROOT / "docs" / "results").glob("*.json"))


def metrics(accuracy, baseline=0.5):
    return {
        "test": {"accuracy": accuracy, "loss": 1.0},
        "train": {"parameters": 1234},
        "baselines": {"majority": {"accuracy": baseline}},
        "baseline": {"accuracy": baseline, "name": "majority"},
        "monitor": "accuracy",
    }


def save(folder, accuracy):
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(metrics(accuracy)))


def test_runs_of_one_net_stand_together(tmp_path):
    save(tmp_path / "one", 0.5)
    assert runs_of(tmp_path / "one") == {"": [metrics(0.5)]}
    words = {"01": ["experiment=x", "cell=gru", "seed=0"], "02": ["experiment=x", "cell=gru",
             "seed=1"], "03": ["experiment=x", "cell=lstm", "seed=0"]}  # fmt: skip
    swept = tmp_path / "swept"
    for number, name in enumerate(words):
        save(swept / name, number)
    listed = [{"words": said, "run": f"elsewhere/{name}"} for name, said in words.items()]
    (swept / "sweep.json").write_text(json.dumps({"runs": listed}))
    assert runs_of(swept) == {
        "cell=gru": [metrics(0), metrics(1)], "cell=lstm": [metrics(2)]}  # fmt: skip


@pytest.mark.parametrize(
    ("section", "repeats"), [("seeds: [0, 1]\n", ["0", "1"]), ("folds: [1, 2]\n", ["1_0", "2_0"])]
)
def test_a_comparison_is_kept_by_column_and_row(section, repeats, tmp_path):
    (tmp_path / "comparison.yaml").write_text(section)
    for number, repeat in enumerate(repeats):
        save(tmp_path / f"listops_chain_{repeat}", number)
    assert runs_of(tmp_path) == {"listops chain": [metrics(0), metrics(1)]}


def test_the_tables_have_means_and_deviations_and_what_is_missing(tmp_path):
    for name in ("tried", "untried"):
        head = f"# @package _global_\n# structnet train experiment={name}\n# Is {name}_1. Here 3.\n"
        (tmp_path / f"{name}.yaml").write_text(f"{head}task: x\n")
    kept = {
        "command": "structnet train experiment=tried", "date": "2026-11-30", "machine": "M",
        "cores": 2, "processor_minutes": 3.5, "versions": {"structnet": "1", "torch": "2"},
        "runs": {"threads=1 gru": [metrics(0.5, 0.25), metrics(0.7, 0.35)],
                 "threads=1 lstm": [metrics(0.9)]},
    }  # fmt: skip
    (tmp_path / "tried.json").write_text(json.dumps(kept))
    write_results(tmp_path, tmp_path, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text().replace("\N{NO-BREAK SPACE}", " ")
    page = page.replace("\N{NON-BREAKING HYPHEN}", "-")
    first = "[tried](#tried) gru | accuracy | 0.6 ± 0.14 | 0.3 ± 0.071 (majority) | 2"
    assert f"| {first} | 3.5 | 2026-11-30 |" in page
    assert "|  lstm | accuracy | 0.9 | 0.5 (majority) | 1 |  |  |" in page
    assert "| the net, 1,234 weights | 0.6 ± 0.14 | 1 |" in page
    assert "| majority | 0.3 ± 0.071 |  |" in page
    measured, _, others = page.partition("Not measured")
    assert "## tried\n\nIs tried\\_1. Here 3.\n\n```bash" in measured
    assert "structnet train experiment=untried\n```\n\nIs untried\\_1. Here 3." in others


@pytest.mark.parametrize("file", KEPT, ids=[file.stem for file in KEPT])
def test_what_is_kept_is_of_an_experiment_and_whole(file):
    found = json.loads(file.read_text())
    assert (ROOT / "conf" / "experiment" / f"{file.stem}.yaml").is_file()
    assert found["command"].startswith(f"structnet train experiment={file.stem}")
    assert found["processor_minutes"] > 0
    for runs in found["runs"].values():
        assert all(math.isfinite(run["test"][run["monitor"]]) for run in runs)


@pytest.mark.parametrize("file", KEPT, ids=[file.stem for file in KEPT])
def test_the_head_of_an_experiment_says_what_it_gave(file):
    lines = (ROOT / "conf" / "experiment" / f"{file.stem}.yaml").read_text().splitlines()
    head = lines[: next(at for at, line in enumerate(lines) if not line.startswith("#"))]
    said = gave(kept_in(file))
    assert head[-len(said) :] == said


def test_a_head_says_what_was_measured_last():
    text = "# @package _global_\n# structnet train experiment=x\n# Is x.\n{}task: x\n"
    file = text.format("")
    for figure in (0.5, 0.75):
        file = with_gave(file, {"runs": {"gru": [metrics(figure)], "lstm": [metrics(1.0)]}})
        gave = f"# Gave: accuracy gru {figure}, lstm 1 on the test split (docs/results.md).\n"
        assert file == text.format(gave)
