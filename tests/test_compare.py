"""Comparisons: an experiment's `compare` section, its runs and their table."""

import json
import re
import shutil

import pytest
import yaml
from commands import SMALL, call, isolated, refused

from structnet.config.composing import compose

SECTION = """\
# @package _global_
defaults:
  - override /task: arithmetic
  - override /topology: chain

task:
  train_size: 40
trainer:
  max_epochs: 1
compare:
  rows:
    plain: [cell=elman]
    gated: [cell=gru, net.dropout=0.1]
  columns:
    short: [task.digits=1, task.distractors=0]
    xml: [task=xml, task.iterations=2]
  seeds: [0, 1]
  published:
    short: {plain: 0.5, gated: 0.6}
"""
RUNS = {f"{column}_{row}_{seed}" for column in ("short", "xml") for row in ("plain", "gated")
        for seed in (0, 1)}  # fmt: skip


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Every test in a folder of its own, which has a comparison among its experiments."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, SECTION)
    return tmp_path


def write(folder, text):
    (folder / "conf" / "experiment").mkdir(parents=True, exist_ok=True)
    (folder / "conf" / "experiment" / "small.yaml").write_text(text)


WORDS = ("train", "--config-dir", "conf", "experiment=small", "task.train_size=40", *SMALL)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A comparison that no test writes to, and what it printed."""
    folder = tmp_path_factory.mktemp("finished")
    write(folder, SECTION)
    words = [folder / "conf" if word == "conf" else word for word in WORDS]
    status, out, err = call(*words, f"run={folder / 'out'}")
    assert (status, err) == (0, "")
    return folder / "out", out


def test_every_row_runs_on_every_column_with_every_seed(finished):
    directory, out = finished
    assert {path.name for path in directory.iterdir()} == {
        *RUNS, "comparison.yaml", "table.json", "table.md", "curves.png",
    }  # fmt: skip
    for name in RUNS:
        config = yaml.safe_load((directory / name / "config.yaml").read_text())
        column, row, seed = name.split("_")
        assert config["seed"] == int(seed) and "compare" not in config
        assert config["cell"]["name"] == {"plain": "elman", "gated": "gru"}[row]
        assert config["task"]["name"] == {"short": "arithmetic", "xml": "xml"}[column]
        assert config["net"]["dropout"] == {"plain": 0.3, "gated": 0.1}[row]
        assert f"{column}, {row}, seed {seed}" in out


def test_a_run_of_a_comparison_is_a_run_like_any_other(finished):
    directory, _ = finished
    assert call("test", f"run={directory / 'xml_gated_1'}").status == 0


def test_the_table_has_the_figures_of_the_runs(finished):
    directory, out = finished
    summary = json.loads((directory / "table.json").read_text())
    for column, about in summary["columns"].items():
        for row, figures in about["rows"].items():
            runs = [json.loads((directory / f"{column}_{row}_{seed}" / "metrics.json").read_text())
                    for seed in (0, 1)]  # fmt: skip
            one, other = (run["test"]["accuracy"] for run in runs)
            assert figures["values"] == [one, other]
            assert figures["mean"] == pytest.approx((one + other) / 2)
            assert figures["spread"] == pytest.approx(abs(one - other) / 2**0.5)
            assert f"{figures['mean']:.3f} ± {figures['spread']:.3f}" in out
            assert figures["parameters"] == runs[0]["train"]["parameters"]
    table = (directory / "table.md").read_text()
    assert table.splitlines()[0] == "|  | short | published | xml | minutes |"
    assert "0.600 (1)" in table and "0.500 (2)" in table
    assert re.search(r"^short: \d of 1 pairs are in the published order", out, re.MULTILINE)
    assert f"comparison: {directory}" in out


@pytest.mark.slow
def test_a_repeated_comparison_runs_what_is_missing_alone(finished, place):
    directory = place / "again"
    shutil.copytree(finished[0], directory)
    before = (directory / "table.json").read_text()
    (directory / "short_gated_1" / "metrics.json").unlink()
    status, out, err = call(*WORDS, "run=again")
    assert status == 0, err
    # Of eight, the fourth.
    assert re.findall(r"^\d/8 .*$", out, re.MULTILINE) == ["4/8 short, gated, seed 1"]
    after = (directory / "table.json").read_text()
    assert without_times(after) == without_times(before)
    status, out, err = call(*WORDS, "run=again", "compare.seeds=[0,1,2]")
    assert status == 0, err
    assert len(re.findall(r"^\d+/12 ", out, re.MULTILINE)) == 4


def without_times(text):
    return [line for line in text.splitlines() if not re.search(r"^\s+\d+\.\d+,?$|minutes", line)
            and not re.search(r'"(plain|gated)": \d', line)]  # fmt: skip


def test_a_run_of_another_configuration_is_not_taken_for_one_of_this(finished, place):
    shutil.copytree(finished[0], place / "other")
    message = refused(*WORDS, "run=other", "trainer.learning_rate=0.1")
    assert "short_plain_0 was run with another configuration" in message


def test_a_run_of_a_comparison_that_is_a_link_is_not_followed(finished, place):
    folder, _ = finished
    shutil.copytree(folder, place / "out")
    shutil.rmtree(place / "out" / "short_plain_0")
    (place / "precious").mkdir()
    (place / "out" / "short_plain_0").symlink_to(place / "precious")
    assert "out/short_plain_0 is a symbolic link" in refused(*WORDS, "run=out")
    assert not list((place / "precious").iterdir())


def test_a_directory_with_anything_else_is_not_taken(place):
    (place / "full").mkdir()
    (place / "full" / "letter.txt").write_text("dear")
    assert "run=full holds no comparison" in refused(*WORDS, "run=full")
    assert [path.name for path in (place / "full").iterdir()] == ["letter.txt"]


def test_a_comparison_without_a_name_gets_a_directory_of_its_own(place):
    one = ("compare.seeds=[3]", "compare.columns={xml:['task=xml']}", "~compare.published")
    status, out, err = call(*WORDS, *one, "debug=steps", "~compare.rows.gated")
    assert status == 0, err
    (directory,) = (place / "runs").iterdir()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_comparison", directory.name)
    assert (directory / "xml_plain_3" / "metrics.json").is_file()
    assert "±" not in out and "published" not in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["cell.dropgate=forget"], "no option 'dropgate'"),
        (["tranier.max_epochs=1"], "'tranier'"),
        (["topology=bichain"], "plain on short: task 'arithmetic' predicts what follows"),
        (["cell.reset=before"], "reset"),
        (["seed=1"], "compare.seeds"),
        (["compare.seeds=[]"], "different whole numbers, got []"),
        (["compare.seeds=[0,0]"], "different whole numbers, got [0, 0]"),
        (["compare.seeds=[-1]"], "different whole numbers, got [-1]"),
        (["compare.seeds=3"], "different whole numbers, got 3"),
        (["+compare.folds=[]"], "compare.folds must be a list of different whole numbers, got []"),
        (["+compare.folds=[1]"], "plain on short: no option 'fold'"),
        (["+compare.references={short: {plain: 1}}"], "'plain' in compare.references.short"),
        (["+compare.references={short: 3}"], "compare.references.short must map names to figures"),
        (["+compare.cols={}"], "no part 'cols' of compare among"),
        (["+compare.metric=accuracy"], "must be one name with min or max, got 'accuracy'"),
        (["+compare.metric={accuracy: most}"], "must be one name with min or max"),
        (["+compare.metric={acuracy: max}"], "plain on short: no metric 'acuracy'"),
        (["~compare.rows"], "compare.rows must map names to lists of words, got None"),
        (["compare.rows.plain=cell"], "compare.rows.plain must be a list of words, got 'cell'"),
        (["compare.rows.plain=[3]"], "compare.rows.plain must be a list of words, got [3]"),
        (
            ["+compare.rows={../up: []}"],
            "'../up' in compare.rows can't be part of a directory's name",
        ),
        (["+compare.rows.odd=['cell=odd']"], "odd on short: no cell 'odd'"),
        (["+compare.rows.odd=['net.hiden_size=3']"], "odd on short: no option 'hiden_size'"),
        (["+compare.rows.odd=['hydra.run.dir=x']"], "odd on short: "),
        (["+compare.published.png={}"], "no column 'png' for compare.published"),
        (["+compare.published.short.plan=1"], "did you mean 'plain'?"),
        (["compare.published.short.plain=high"], "must be a number, got 'high'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_named_before_anything_runs(words, message, place):
    assert message in refused(*WORDS, *words, "run=out")
    assert not (place / "out").exists() and not (place / "runs").exists()


def test_the_composed_configuration_of_a_comparison_can_be_printed():
    status, out, err = call(*WORDS, "--cfg")
    assert status == 0, err
    assert yaml.safe_load(out)["compare"]["seeds"] == [0, 1]


def test_a_saved_run_with_a_comparison_in_it_is_refused(finished, place):
    run = shutil.copytree(finished[0] / "xml_gated_1", place / "run")
    config = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump({**config, "compare": {}}))
    assert "no group or option 'compare'" in refused("test", "run=run")


def test_words_count_for_more_than_those_of_a_row(place):
    from structnet.study.compare import Comparison

    with isolated():
        words = ["experiment=small", "net.dropout=0.7"]
        comparison = Comparison.compose(compose(words, ["conf"]), words, ["conf"])
    assert {config["net"]["dropout"] for config in comparison.configs.values()} == {0.7}
