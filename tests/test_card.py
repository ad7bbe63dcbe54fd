"""The model card of a run: what it says, and that no option or name changes its form."""

import re
from types import SimpleNamespace

import pytest
import yaml
from commands import SMALL, SST, call, needs_sst
from hypothesis import given, settings
from hypothesis import strategies as st

from structnet.config.composing import compose
from structnet.config.spelling import words_of
from structnet.run.card import card, escaped
from structnet.run.run import Run

METRICS = {
    "test": {"accuracy": 0.75, "loss": float("nan")},
    "train": {"epochs": 1, "steps": 12, "seconds": 3.5, "parameters": 1234},
    "baselines": {"majority": {"accuracy": 0.5}},
}


def run_of(*words):
    return Run.compose(compose(["task=sst", "topology=tree", *words]), SimpleNamespace())  # pyright: ignore


def head_of(text):
    _, head, rest = text.split("---\n", 2)
    return yaml.safe_load(head), rest


def test_a_card_says_what_was_trained_how_and_how_well():
    run = run_of("task.root=/data/my trees", "cell=gru", "trainer.limit_batches=3")
    head, text = head_of(card(run, METRICS, words_of(run.config)))
    assert head["library_name"] == "structnet" and head["tags"] == [
        "structnet",
        "sst",
        "tree",
        "gru",
    ]
    (result,) = head["model-index"][0]["results"]
    # What is not finite is no result.
    assert result["metrics"] == [{"type": "accuracy", "value": 0.75}]
    assert result["task"] == {"type": "sst"} and result["dataset"]["name"] == "sst"
    assert "| majority | 0.5000 |  |\n| tree gru | 0.7500 | nan |" in text
    assert "1,234 parameters" in text and "12 steps" in text
    assert "structnet train task=sst 'task.root=/data/my trees'" in text
    assert "- root: /data/my trees" in text and "measured on 3 batches" in text
    assert re.search(r"^- torch \d", text, re.MULTILINE)


def test_many_figures_stand_below_each_other():
    figures = {f"figure{number}": 0.5 for number in range(20)}
    text = card(run_of(), {"test": figures}, [])
    assert "|  | tree lstm |\n|---|---:|\n| figure0 | 0.5000 |" in text
    assert "no baselines" in text


def test_a_hub_reads_the_head_as_results():
    hub = pytest.importorskip("huggingface_hub")
    found = hub.ModelCard(card(run_of(), METRICS, [])).data.eval_results
    assert [(one.metric_type, one.metric_value) for one in found] == [("accuracy", 0.75)]


ODD = (
    "| x |",
    "```\n# no",
    "<script>",
    "[a](http://b)",
    "a\nb",
    "---",
    "`x`",
    "\x1b[2J",
    "$x$",
    "_a_",
)


@pytest.mark.parametrize("text", ODD)
def test_an_option_stays_within_its_line_of_the_card(text):
    run = run_of(f"task.root={text}")
    plain = card(run_of("task.root=plain"), METRICS, words_of(run_of("task.root=plain").config))
    found = card(run, METRICS, words_of(run.config))
    assert len(found.splitlines()) == len(plain.splitlines())
    (line,) = [line for line in found.splitlines() if line.startswith("- root: ")]
    assert not set("<>\x1b") & set(line.replace("&lt;", "").replace("&gt;", ""))
    assert line.removeprefix("- root: ") == escaped(text)
    fence, command = re.findall(r"^(`{3,})shell\n(structnet train .*)\n\1$", found, re.MULTILINE)[0]
    assert fence not in command


def test_marks_of_markdown_and_html_are_escaped():
    assert escaped("a_b|c<d>`e`*f*") == r"a\_b\|c&lt;d&gt;\`e\`\*f\*"
    assert escaped("[x](https://y) www.z.de") == r"\[x\](https\://y) www\.z.de"
    assert escaped("0.5 - plain (text)") == "0.5 - plain (text)"


@pytest.mark.parametrize(
    "words",
    [
        ("task=digits", "topology=row", "task.goal=class", "readout=max", "head=softmax"),
        ("experiment=treelstm_sst", "seed=3", "task.root=a b", "trainer.learning_rate=1e-5"),
        ("task=text", "topology=chain", "task.root=null", "cell=gru", "cell.chrono=20"),
        ("trainer=gpu",),
    ],
)
def test_the_words_of_a_configuration_compose_it(words):
    config = compose(words)
    assert compose(words_of(config)) == config
    assert words_of(compose([])) == [
        "task=swapped", "cell=lstm", "topology=tree", "net=stack"
    ]  # fmt: skip


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=4))
@settings(max_examples=100, deadline=None)
def test_a_list_is_read_as_it_is_spelled(texts):
    from structnet.registry.option_types import read, spell

    both = [text for text in texts if '"' in text and "'" in text]
    if not both and not any(text.startswith("~") for text in texts):
        assert read(spell(texts), list[str]) == texts


@pytest.mark.slow
@needs_sst
def test_training_writes_a_card(tmp_path):
    run = tmp_path / "run"
    words = ["task=sst", "topology=tree", f"task.root={SST}", "trainer.max_steps=1"]
    status, out, _ = call("train", *words, *SMALL, "trainer.limit_batches=1", f"run={run}")
    assert status == 0 and "README.md" in out
    head, text = head_of((run / "README.md").read_text())
    assert head["model-index"] and f"task.root={SST}" in text and "| majority |" in text
