"""Trees with classes for people: typed in brackets, printed, drawn, and on the page of errors."""

import json
import re
import sys
from itertools import pairwise
from xml.etree import ElementTree

import pytest
import torch
from commands import SMALL, call, isolated, refused, write_sst
from matplotlib import image

import structnet as sn
from structnet.draw.picture import save
from structnet.plugins.tree.phrases import read_phrases, suggested
from structnet.plugins.tree.tasks.sst import FINE


def typed(text):
    return sn.Origin("text", 3, text)


def task_of(tmp_path, topology="tree", **options):
    topology = sn.topologies.create(topology)
    task = sn.tasks.create("sst", root=str(write_sst(tmp_path)), **options)
    task.keep(task.load(topology))
    return task, topology


def shown(task, topology, text, seed=0):
    """The drawing of a text whose nodes have random scores, and the scores."""
    sample = task.read_text(typed(text), topology)
    scores = 2 * torch.randn(len(sample.x), len(task.classes), generator=torch.manual_seed(seed))
    # A run makes the text the origin of its sample.
    sample = sn.Sample(sample.structure, sample.x, sample.y, origin=typed(text))
    return task.drawing(sample, scores), scores.softmax(1)


# Reading


def test_a_tree_of_words_and_brackets_is_read_in_pre_order():
    tree = read_phrases(typed("( ( It 's ) ( ( not good ) . ) )"))
    assert tree.words == ["", "", "It", "'s", "", "", "not", "good", "."]
    assert tree.parent.tolist() == [-1, 0, 1, 1, 0, 4, 5, 5, 4]
    assert tree.labels == [""] * 9 and tree.text == "It 's not good ."
    assert tree.spans.tolist() == [
        [0, 5], [0, 2], [0, 1], [1, 2], [2, 5], [2, 4], [2, 3], [3, 4], [4, 5],
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["( good )", "(good)", "((( good )))", " ( ( good) ) "])
def test_brackets_around_one_part_are_that_part(text):
    tree = read_phrases(typed(text))
    assert (tree.words, tree.parent.tolist()) == (["good"], [-1])
    tree = read_phrases(typed(f"( ( {text} ) ( ( not {text} ) ) )"))
    assert tree.words == ["", "good", "", "not", "good"]
    assert tree.parent.tolist() == [-1, 0, 0, 2, 2]


def test_numbers_at_the_beginning_of_every_bracket_are_labels():
    assert read_phrases(typed("(3 (2 It) (3 's))")).labels == ["3", "2", "3"]
    tree = read_phrases(typed("( 2 ( films ( 10 years ) ) )"))
    assert tree.labels == [""] * 7 and tree.leaves == ["2", "films", "10", "years"]


MISTAKES = {
    "( a b": (6, "a bracket is not closed"),
    "( ( a ) ": (8, "a bracket is not closed"),
    "( a ( ) )": (7, "an empty node: bracket and then ')'"),
    "()": (2, "an empty node: bracket and then ')'"),
    "( a ) b": (7, "'b' after the end of the tree"),
    "( a ) )": (7, "')' after the end of the tree"),
    "a ( b )": (3, "'(' after the end of the tree"),
    "": (1, "nothing to read"),
    "(3 (2 a) b)": (10, "a second word, or a word next to children: 'b'"),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_in_a_text_is_named_by_its_column(text):
    column, what = MISTAKES[text]
    with pytest.raises(ValueError) as caught:
        read_phrases(typed(text))
    assert str(caught.value).startswith(f"text, line 3, column {column}: {what}")


def test_what_is_refused_says_what_to_type(tmp_path):
    task, topology = task_of(tmp_path)
    wrong = {
        "It's not good": r'write text="\( It \( \'s \( not good \) \) \)"',
        "": r"has no brackets",
        "( a ( b c ) d )": r"'a b c d' has 3 parts.* as in \( \( a \( b c \) \) d \)$",
        "(7 (2 a) (3 b))": "label '7' of node 0",
    }
    for text, message in wrong.items():
        with pytest.raises(ValueError, match=message):
            task.read_text(typed(text), topology)
    path = tmp_path / "own.txt"
    path.write_text("(3 (2 a) (2 b))\n(3 (2 a) (2 (1 b) (2 c)) (1 d))\n")
    with pytest.raises(
        ValueError, match=r"own\.txt, line 2: 'a b c d' has 3 parts, nodes of the n"
    ):
        list(task.read(path, topology))
    # What is proposed is taken.
    for words in (["good"], ["not", "good"], [], ["a"] * 12, ["a"] * 13):
        task.read_text(typed(suggested(words)), topology)
    anything = sn.topologies.create("tree", arity=None)
    assert len(task.read_text(typed("( a ( b c ) d )"), anything).x) == 6


@pytest.mark.parametrize(
    "text", ["a good film", "( a ( good film ) )", "(3 (2 a) (2 (2 good) (2 film)))"]
)
def test_on_sequences_a_text_is_its_words(tmp_path, text):
    task, topology = task_of(tmp_path, "chain")
    sample = task.read_text(typed(text), topology)
    assert sample.structure == 3
    assert sample.x.ids.tolist() == [task.vocabulary[word] for word in ("a", "good", "film")]
    assert sample.y.tolist() == [3 if "3" in text else sn.IGNORE]
    assert task.drawing(sample, None) is None
    with pytest.raises(ValueError, match="has no words"):
        task.read_text(typed(" "), topology)


# Showing


def test_lines_have_class_probability_and_phrase_of_every_node(tmp_path):
    task, topology = task_of(tmp_path)
    drawing, probabilities = shown(task, topology, "(3 (2 a) (2 (2 good) (1 film)))")
    lines = drawing.text().plain.split("\n")
    given = [3, 2, 2, 2, 1]
    phrases = ["a good film", "├─ a", "└─ good film", "   ├─ good", "   └─ film"]
    assert len(lines) == 5
    for line, row, label, phrase in zip(lines, probabilities, given, phrases, strict=True):
        best = int(row.argmax())
        assert f" {FINE[best]} " in line and f" {row[best]:.2f} " in line
        assert line.endswith(f"  {phrase}")
        assert f"given {FINE[label]}" in line and ("✗" in line) == (best != label)
    drawing, _ = shown(task, topology, "( a \x1b[31m )")
    assert "given" not in drawing.text().plain and "\x1b" not in drawing.text().plain


def test_plain_data_has_every_node(tmp_path):
    task, topology = task_of(tmp_path, binary=True)
    drawing, probabilities = shown(task, topology, "(3 (2 a) (0 film))")
    found = json.loads(json.dumps(drawing.as_dict()))
    assert found["leaves"] == ["a", "film"]
    root, neutral, film = found["nodes"]
    assert (root["parent"], root["first"], root["stop"]) == (-1, 0, 2)
    assert root["probabilities"]["positive"] == pytest.approx(float(probabilities[0, 1]), abs=1e-6)
    assert root["given"] == "positive" and film["given"] == "negative"
    assert root["wrong"] == (root["class"] != "positive")
    # Neutral phrases have no class of two.
    assert "given" not in neutral and neutral["word"] == "a"


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
def test_a_picture_has_a_mark_and_a_word_where_they_belong(tmp_path, suffix):
    task, topology = task_of(tmp_path)
    text = "(3 (2 $x$) (2 (2 <b>&) (1 " + 40 * "w" + ")))"
    drawing, _ = shown(task, topology, text)
    path = tmp_path / f"tree.{suffix}"
    save(drawing.figure("a <title>"), path)
    if suffix == "png":
        assert image.imread(path).std() > 0.05
    elif suffix == "svg":
        # Text is drawn as glyphs, with what it says in a comment.
        ElementTree.parse(path)
        said = path.read_text()
        assert all(word in said for word in ("<!-- $x$ -->", "very negative", "w…"))
    else:
        assert path.read_bytes().startswith(b"%PDF")


def test_words_keep_apart_and_lines_do_not_cross():
    from structnet.plugins.tree.picture import GAP, layout, text_width

    text = "( ( a ( fairly-long-word b ) ) ( ( ( c d ) e ) f ) )"
    tree = read_phrases(typed(text))
    _, at, width = layout(tree)
    leaves = [node for node, word in enumerate(tree.words) if word]
    half = {n: text_width(tree.words[n], 9) / 2 for n in leaves}
    edges = [(at[n, 0] - half[n], at[n, 0] + half[n]) for n in leaves]
    assert all(b[0] - a[1] > 0.9 * GAP for a, b in pairwise(edges))
    assert edges[0][0] >= 0 and edges[-1][1] <= width
    for level in {*at[:, 1].tolist()}:
        # Nodes of a level stand in the order of their parents, so that lines between levels do not
        # cross.
        own = [n for n in range(1, len(at)) if at[n, 1] == level]
        own.sort(key=lambda n: at[n, 0])
        above = [at[tree.parent[n], 0] for n in own]
        assert above == sorted(above)


def test_a_tree_of_2_000_levels_is_read_and_printed_and_too_large_for_a_picture(tmp_path):
    task, topology = task_of(tmp_path)
    depth = 2_000
    limit = sys.getrecursionlimit()
    drawing, _ = shown(task, topology, "( a " * depth + "b" + " )" * depth)
    text = drawing.text().plain
    assert sys.getrecursionlimit() == limit
    assert text.count("\n") == 2 * depth and f"(level {depth}) b" in text
    assert len(drawing.as_dict()["nodes"]) == 2 * depth + 1
    with pytest.raises(ValueError, match="at most 1000 nodes, got a tree of 4001"):
        drawing.figure("")


# Commands


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sentiment")
    root = write_sst(folder / "data")
    lines = (root / "test.txt").read_text()
    # Most of them are wrong, whatever the net says.
    more = (f"({label} (0 <script>) (2 (1 a&b) (2 film)))\n" for label in range(4, -1, -1))
    (root / "test.txt").write_text(lines + "".join(more))
    words = ("task=sst", f"task.root={root}", "topology=tree", "cell=lstm", "debug=steps")
    status, _, err = call("train", *words, *SMALL, f"run={folder / 'run'}")
    assert status == 0, err
    return folder / "run"


@pytest.mark.slow
def test_a_text_is_predicted_as_a_tree(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "( ( It 's ) ( ( not good ) . ) )"
    status, out, err = call("predict", f"run={trained}", f"text={text}")
    assert (status, err) == (0, "")
    assert [line.split("  ")[-1] for line in out.splitlines()][-1].endswith("└─ .")
    assert len(out.splitlines()) == 9
    status, out, _ = call("predict", f"run={trained}", f"text={text}", "--json")
    (found,) = json.loads(out)
    assert found["class"] == found["nodes"][0]["class"] and len(found["nodes"]) == 9
    for name in ("out.json", "out.csv", "out.txt"):
        assert call("predict", f"run={trained}", f"text={text}", f"out={name}").status == 0
    assert json.loads((tmp_path / "out.json").read_text()) == [found]
    assert "nodes" not in (tmp_path / "out.csv").read_text()
    message = refused("predict", f"run={trained}", "text=not good")
    assert 'write text="( not good )"' in message


@pytest.mark.slow
def test_a_text_is_coloured_on_a_terminal(trained, monkeypatch):
    from rich.console import Console

    from structnet.cli import predict

    console = Console(force_terminal=True, width=60, color_system="truecolor")
    monkeypatch.setattr(predict, "console", lambda: console)
    with isolated(), console.capture() as captured:
        predict.run([f"run={trained}", f"text=(3 (2 {'long' * 20}) (0 film))"])
    lines = captured.get().splitlines()
    assert len(lines) == 3 and all("\x1b[1;" in line and ";48;2;" in line for line in lines)
    plain = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in lines]
    assert all(len(line) <= 60 for line in plain) and plain[0].endswith("…")


@pytest.mark.slow
def test_a_sample_is_drawn_as_a_tree(trained, tmp_path):
    file = tmp_path / "tree.svg"
    status, out, err = call("draw", f"run={trained}", "sample=8", f"out={file}")
    assert (status, err) == (0, "") and out.startswith("test sample 8\n")
    said = file.read_text()
    assert "very positive" in said and "given: very positive" in said and "nodes wrong" in said
    root = trained.parent / "data"
    words = ("draw", "task=sst", f"task.root={root}", "topology=tree", "sample=8")
    assert call(*words, f"out={file}").status == 0
    assert "nodes wrong" not in file.read_text()
    assert ".pdf" in refused("draw", f"run={trained}", "out=tree.jpg")


@pytest.mark.slow
def test_the_worst_mistakes_are_a_page_with_their_trees(trained, tmp_path):
    file = tmp_path / "errors.html"
    status, out, err = call("errors", f"run={trained}", f"out={file}", "top=50")
    assert (status, err) == (0, "") and out.startswith(f"page: {file} (")
    page = file.read_text()
    mistakes = len(json.loads(call("errors", f"run={trained}", "--json").out)["worst"])
    assert page.count("<h2>") == page.count("<svg ") == mistakes > 0
    # Nothing is loaded or run, and no text is taken for elements.
    assert not re.search(r"<script|<link|<img|src=|@import|url\((?!#)", page)
    assert "&lt;script&gt;" in page and "a&amp;b" in page
    names = re.findall(r'\bid="([^"]+)"', page)
    referred = set(re.findall(r'(?:href="|url\()#([^")]+)', page))
    assert referred <= set(names)
    for svg in re.findall(r"<svg .*?</svg>", page, re.S):
        ElementTree.fromstring(svg)
    assert ".html" in refused("errors", f"run={trained}", "out=errors.txt")
    assert "--json" in refused("errors", f"run={trained}", f"out={file}", "--json")
    assert refused("errors", f"run={trained}", "out=nowhere/x.html").startswith("no folder")
