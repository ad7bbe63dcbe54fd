"""Readers of trees, what is done to trees, and task=trees."""

import json
import random
import re
import runpy
import sys
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import networkx
import nltk
import numpy as np
import pytest
from commands import SMALL, call, opened, refused

import structnet as sn
from structnet.cli.errors import _text
from structnet.plugins.files.lines import Line
from structnet.plugins.text.corpora import nltk_corpus
from structnet.plugins.treebanks import changes
from structnet.plugins.treebanks.brackets import read_treebank
from structnet.plugins.treebanks.heads import head_child
from structnet.plugins.treebanks.reading import of_networkx, of_nltk, read_sample, read_trees
from structnet.training.mistakes import Wrong, _mistake

SENTENCE = "(S (NP (DT the) (NN dog)) (VP (VBD saw) (NP (PRP it))) (. .))"


def read(text):
    lines = text.split("\n")
    return list(read_treebank(Line(Path("a.mrg"), n, line) for n, line in enumerate(lines, 1)))


def one(text):
    (tree,) = read(text)
    return tree


def bracketed(tree):
    """The tree as text, by a definition of its own."""

    def text(node):
        below = np.flatnonzero(tree.parent == node)
        inside = [tree.words[node]] * bool(tree.words[node]) + [text(child) for child in below]
        return f"({tree.labels[node]} {' '.join(inside)})"

    return text(0)


def drawn(draw, depth=0):
    """A random tree of constituents as text."""
    label = draw.choice(["S", "NP", "VP", "PP", "NP-SBJ", "X"])
    if depth > 4 or draw.random() < 0.3:
        return f"({draw.choice(['NN', 'CC', 'VBD', '-NONE-'])} {draw.choice(['a', 'b', '*'])})"
    below = [drawn(draw, depth + 1) for _ in range(draw.choice([1, 1, 2, 3, 5]))]
    return f"({label} {' '.join(below)})"


DRAWN = [f"(S {drawn(random.Random(seed))} {drawn(random.Random(-seed))})" for seed in range(40)]


def write(folder, name, text):
    path = folder / name
    path.write_text(text)
    return path


# Brackets


def test_trees_are_read_in_any_layout():
    text = f"*x*x*\n\n; a comment\n( {SENTENCE} )\n{SENTENCE} (NP (NN a))\n"
    text += "# (x\n%% b\n((S\n  (NP\n(NN b)\n)))"
    trees = read(text)
    assert [tree.line for tree in trees] == [4, 5, 5, 8]
    assert [bracketed(tree) for tree in trees] == [
        SENTENCE, SENTENCE, "(NP (NN a))", "(S (NP (NN b)))",
    ]  # fmt: skip


def test_a_pair_of_brackets_around_several_trees_is_a_node_of_its_own():
    assert bracketed(one("( (S (NN a)) (S (NN b)) )")) == "(TOP (S (NN a)) (S (NN b)))"


def test_a_number_sign_within_a_tree_is_a_word():
    assert bracketed(one("(NP\n(# #)\n(CD 1))")) == "(NP (# #) (CD 1))"


MISTAKES = {
    "(S\n (NN a b))": "line 2, column 8: a second word, or a word next to children: 'b'",
    "(S (NN a))\n (S ((NN b)))": "line 2, column 6: a label is missing before '('",
    "(((NN a)))": "line 1, column 3: a label is missing before '('",
    "(S (NN a)\n\n  (NN b)": "line 3, column 9: a bracket is not closed of the tree that begins "
    "in line 1",
    "a": "line 1, column 1: a tree begins with '(', got 'a'",
    "(S (NN a)))": "line 1, column 11: ')' closes no bracket",
    "( )": "line 1, column 3: an empty node: bracket and then ')'",
    "(S (NP))": "line 1, column 7: an empty node: label and then ')'",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_malformed_brackets_are_named_by_line_and_column(text):
    with pytest.raises(ValueError) as caught:
        read(text)
    assert str(caught.value) == f"a.mrg, {MISTAKES[text]}"


# What is done to trees


@pytest.mark.parametrize("side", ["left", "right", "head"])
def test_a_binary_tree_gives_the_tree_back(side):
    for text in [SENTENCE, "(NN a)", *DRAWN]:
        tree = one(text)
        binary = changes.binarised(tree, side)
        assert binary.counts().max() <= 2
        assert binary.text == tree.text
        assert bracketed(changes.unbinarised(binary)) == text


def test_a_tree_is_made_binary_on_each_side():
    tree = one("(VP (MD a) (VBD b) (NN c) (NN d))")
    assert [bracketed(changes.binarised(tree, side)) for side in ("left", "right", "head")] == [
        "(VP (@VP (@VP (MD a) (VBD b)) (NN c)) (NN d))",
        "(VP (MD a) (@VP (VBD b) (@VP (NN c) (NN d))))",
        # Its head is the past tense.
        "(VP (MD a) (@VP (@VP (VBD b) (NN c)) (NN d)))",
    ]


@pytest.mark.parametrize(
    ("label", "children", "head"),
    [
        ("S", "NP VP .", 1),
        ("NP", "DT JJ NN", 2),
        ("NP", "NP PP", 0),
        ("NP", "NNP POS", 1),
        ("NP", "NN CC NN", 0),
        ("PP", "IN NP", 0),
        ("VP", "MD RB VP", 0),
        ("SBARQ", "WHNP SQ", 1),
        ("ADVP", "X X", 1),
        ("unknown", "A B", 0),
    ],
)
def test_heads_are_those_of_collins(label, children, head):
    assert head_child(label, children.split()) == head


def test_a_unary_chain_is_one_node_and_gives_the_chain_back():
    tree = one("(S (VP (NP (NN a))) (NP (NP (NN b) (NN c))))")
    joined = changes.collapsed(tree)
    assert bracketed(joined) == "(S (VP+NP (NN a)) (NP+NP (NN b) (NN c)))"
    for text in DRAWN:
        assert bracketed(changes.expanded(changes.collapsed(one(text)))) == text


def test_traces_and_the_nodes_that_have_nothing_else_are_left_out():
    tree = one("(S (NP-SBJ (-NONE- *)) (VP (VBD a) (NP (NN b) (-NONE- *T*-1))))")
    assert bracketed(changes.without_traces(tree)) == "(S (VP (VBD a) (NP (NN b))))"
    assert changes.without_traces(one("(S (NP (-NONE- *)))")) is None


def test_functional_tags_and_subtypes_are_left_out_of_labels():
    labels = ["NP-SBJ=1", "NP=2", "-LRB-", "NP", "ADVP|PRT", "=", "PRP$"]
    assert [*map(changes.bare_label, labels)] == [
        "NP",
        "NP",
        "-LRB-",
        "NP",
        "ADVP|PRT",
        "=",
        "PRP$",
    ]
    assert [*map(changes.bare_relation, ["nsubj:pass", "det"])] == ["nsubj", "det"]


def test_labels_that_can_not_be_given_back_are_refused():
    with pytest.raises(ValueError, match=r"a.mrg, line 1: label 'A\+B' of node 0 has '\+', which"):
        changes.collapsed(one("(A+B (NN a))"))
    with pytest.raises(ValueError, match="label '@A' of node 0 begins with '@'"):
        changes.binarised(one("(@A (NN a))"), "left")


def test_words_below_a_node_are_those_of_its_leaves():
    tree = one(SENTENCE)
    words = tree.text.split()
    leaves = [nltk.Tree.fromstring(SENTENCE)[p].leaves() for p in ((), (0,), (1,), (1, 1))]
    below = [words[a:b] for a, b in tree.spans]
    assert [below[node] for node in (0, 1, 4, 6)] == leaves


@pytest.fixture
def treebank():
    try:
        return nltk_corpus("treebank")
    except FileNotFoundError:
        pytest.skip("NLTK's treebank is not on this machine")


@pytest.mark.slow
def test_nltks_sample_is_what_nltk_reads_and_every_change_is_undone(treebank):
    trees = list(read_sample())
    assert len(trees) == 3914
    for tree, other in zip(trees, map(of_nltk, treebank.parsed_sents()), strict=True):
        assert (tree.labels, tree.words) == (other.labels, other.words)
        assert np.array_equal(tree.parent, other.parent)
        undone = [
            changes.unbinarised(changes.binarised(tree, s)) for s in ("left", "right", "head")
        ]
        for again in (*undone, changes.expanded(changes.collapsed(tree))):
            assert (again.labels, again.words) == (tree.labels, tree.words)
            assert np.array_equal(again.parent, tree.parent)


# CoNLL-U


def rows(*words):
    """Words of a sentence, each with its head and relation."""
    return "".join(
        f"{n}\t{word}\t_\t_\t_\t_\t{head}\t{relation}\t_\t_\n"
        for n, (word, head, relation) in enumerate(words, 1)
    )


def test_a_dependency_tree_has_a_node_per_word(tmp_path):
    text = "# text = a\n1-2\tab\t_\t_\t_\t_\t_\t_\t_\t_\n"
    text += rows(("a", 2, "det"), ("b", 0, "root"), ("c", 2, "_"))
    (tree,) = read_trees(write(tmp_path, "a.conllu", text))
    assert (tree.labels, tree.words) == (["det", "root", ""], ["a", "b", "c"])
    assert (tree.parent.tolist(), tree.line) == ([1, -1, 1], 3)


BAD_HEADS = {
    "cycle": ([("a", 2, "x"), ("b", 1, "x"), ("c", 0, "x")], 1, "the word is its own head, by way"),
    "itself": ([("a", 0, "x"), ("b", 2, "x")], 2, "the word is its own head"),
    "below a cycle": ([("a", 0, "x"), ("b", 3, "x"), ("c", 3, "x")], 2, "the word is its own head"),
    "far": (
        [("a", 0, "x"), ("b", 3, "x")],
        2,
        "'3' is not the number of a head, from 1 to 2, or 0",
    ),
    "none": ([("a", "_", "x")], 1, "'_' is not the number of a head"),
    "roots": ([("a", 0, "x"), ("b", 0, "x")], 2, "a second root, after word 1: a tree has one"),
}


@pytest.mark.parametrize("case", BAD_HEADS)
def test_heads_that_make_no_tree_are_named_by_line_and_column(tmp_path, case):
    words, line, what = BAD_HEADS[case]
    path = write(tmp_path, "a.conllu", rows(*words))
    with pytest.raises(ValueError, match=re.escape(f"{path}, line {line}, column 7: {what}")):
        list(read_trees(path))


# JSON

NESTED = """{"label": "NP", "children": [{"label": "DT", "word": "the"},
  {"word": "d\\u00f6g"}]}"""
FLAT = '{"labels": ["DT", null, "NP"], "words": ["the", "d\\u00f6g", null], "parents": [2, 2, -1]}'


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (NESTED, [1]),
        (FLAT, [1]),
        (f"[{NESTED},\n {FLAT}]", [1, 3]),
        (f"{FLAT}\n\n{NESTED}\n", [1, 3]),
    ],
    ids=["nested", "flat", "list", "lines"],
)
def test_json_trees_are_read_in_both_forms(tmp_path, text, lines):
    trees = list(read_trees(write(tmp_path, "a.json", text)))
    assert [tree.line for tree in trees] == lines
    for tree in trees:
        assert (tree.labels, tree.words) == (["NP", "DT", ""], ["", "the", "dög"])
        assert tree.parent.tolist() == [-1, 0, 0]


BAD_JSON = {
    '{"label": "A",\n "word": }': "line 2, column 10: '}', expected a value in JSON",
    '{"label": "A" "word": "a"}': "line 1, column 15: '\"', expected ',' or the '}' for the { of",
    '[{"word": "a"}': "line 1, column 15: the file ends, expected ',' or the ']' for the [ of line",
    '{"word": "a", "word": "b"}': "line 1, column 15: key 'word' is there twice",
    '{"word": "a\n"}': "line 1, column 12: invalid control character",
    '{"wrod": "a"}': "line 1, column 10: unknown key 'wrod', expected label, word, children",
    '{"label": "A", "children": []}': "line 1, column 1: a node has a word, or children",
    '{"label": 1, "word": "a"}': "line 1, column 11: 1, expected a text",
    '{"children": [\n"a"]}': "line 2, column 1: 'a', expected a node such as",
    '{"labels": ["A"], "words": ["a"]}': "line 1, column 1: 'parents' is missing beside labels",
    '{"labels": [], "words": ["a"], "parents": [-1]}': "line 1, column 1: 0 labels, 1 words and 1",
    '{"labels": ["A"], "words": ["a"], "parents": [0]}': "line 1, column 46: 0 roots, nodes whose",
    '{"labels": ["A"], "words": ["a"], "parents": [1]}': "line 1, column 47: 1, expected a whole "
    "number from -1 to 0",
    '{"labels": ["A", "B", "C"], "words": ["a", "b", "c"], "parents": [-1, 2, 1]}': "line 1, "
    "column 66: node 1 is not below the root",
    '{"labels": ["A"], "words": [null], "parents": [-1]}': "line 1, column 29: node 0 has neither",
}  # fmt: skip


@pytest.mark.parametrize("text", BAD_JSON)
def test_malformed_json_trees_are_named_by_line_and_column(tmp_path, text):
    path = write(tmp_path, "a.jsonl", text)
    with pytest.raises(ValueError) as caught:
        list(read_trees(path))
    assert str(caught.value).startswith(f"{path}, {BAD_JSON[text]}")


# In memory


def test_labels_of_trees_in_memory_are_read():
    of_text = one(SENTENCE)
    tree = of_nltk(nltk.Tree.fromstring(SENTENCE))
    assert (tree.labels, tree.words) == (of_text.labels, of_text.words)
    graph = networkx.DiGraph()
    for node, (label, word) in enumerate(zip(tree.labels, tree.words, strict=True)):
        graph.add_node(f"n{node}", label=label, word=word)
    graph.add_edges_from((f"n{i}", f"n{p}") for i, p in enumerate(tree.parent) if p >= 0)
    found = of_networkx(graph)
    assert (found.labels, found.words) == (tree.labels, tree.words)
    plans = [sn.topologies.create("tree", arity=None).plan(one) for one in (graph, [
        sn.Edges.of_parents(found.parent).table()])]  # fmt: skip
    assert np.array_equal(plans[0][0].order, plans[1][0].order)
    with pytest.raises(ValueError, match="node 0, 'S', has 2 words and 0 nodes below it"):
        of_nltk(nltk.Tree("S", ["a", "b"]))
    with pytest.raises(ValueError, match="2 roots"):
        of_networkx(networkx.DiGraph([("a", "b"), ("c", "d")]))


# The task


def trees_folder(folder, count=30):
    """Trees whose labels follow from their words."""
    draw, texts = random.Random(0), []
    for _ in range(count):
        noun, verb = draw.choice(["dog", "cat", "man"]), draw.choice(["saw", "bit"])
        phrase = f"(NP-SBJ (DT the) (JJ {draw.choice(['old', 'new', 'red'])}) (NN {noun}))"
        texts.append(f"( (S {phrase} (VP (VBD {verb}) (NP (-NONE- *)) (NP (PRP it))) (. .)) )")
    folder.mkdir(exist_ok=True)
    write(folder, "wsj_1.mrg", "\n".join(texts))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return trees_folder(tmp_path_factory.mktemp("trees"))


def load(root, arity=2, **options):
    task = sn.tasks.create("trees", root=str(root), **options)
    topology = sn.topologies.create("tree", arity=arity)
    return task, task.keep(task.load(topology))


def test_inner_nodes_have_targets_and_their_words_are_at_leaves(folder):
    task, splits = load(folder)
    assert task.classes == ["NP", "S", "VP"]
    assert sum(map(len, splits.values())) == 30
    for sample in splits["train"]:
        tree = sample.origin
        assert sample.structure.table().shape[1] == 2
        named = {i: task.classes[y] for i, y in enumerate(sample.y) if y != sn.IGNORE}
        assert named == {
            i: label for i, label in enumerate(tree.labels) if label in ("NP", "S", "VP")
        }
        assert np.diff(sample.x.ptr).tolist() == [int(bool(word)) for word in tree.words]
        assert "*" not in tree.words


@pytest.mark.parametrize(
    ("options", "classes"),
    [
        ({"functions": True}, ["NP", "NP-SBJ", "S", "VP"]),
        ({"score": "root"}, ["S"]),
        ({"score": "all", "arity": None}, [".", "DT", "JJ", "NN", "NP", "PRP", "S", "VBD", "VP"]),
        ({"unary": "collapse", "traces": True}, ["NP", "S", "VP"]),
    ],
)
def test_options_say_which_labels_are_learned(folder, options, classes):
    task, splits = load(folder, **options)
    assert list(task.classes) == classes
    wanted = () if options.get("score") == "root" else (len(splits["train"][0].origin),)
    assert splits["train"][0].y.shape == wanted


def test_a_label_that_training_has_not_seen_counts_as_wrong(tmp_path):
    for name, label in (("train", "A"), ("dev", "A"), ("test", "B")):
        write(tmp_path, f"{name}.txt", f"({label} (NN a) (NN b))\n(A (NN a) (NN b))")
    task, splits = load(tmp_path)
    assert (list(task.classes), list(task.unseen)) == (["A"], ["B"])
    assert [int(sample.y[0]) for sample in splits["test"]] == [1, 0]
    assert task.baselines() == {"majority": {"accuracy": 0.5}}


@pytest.mark.slow
def test_it_trains_on_brackets_and_predicts_the_labels_of_nodes(folder, tmp_path):
    run = tmp_path / "run"
    status, out, err = call("train", "task=trees", "topology=tree", f"task.root={folder}",
        f"run={run}", *SMALL, "trainer.max_epochs=1")  # fmt: skip
    assert status == 0, err
    assert "logistic regression" in out and "majority" in out
    path = write(tmp_path, "new.mrg", "(X (NP (X the) (X dog) (X old)) (X bit))\n")
    status, out, err = call("predict", f"run={run}", f"path={path}")
    assert status == 0, err
    # Labels of words are not scored.
    lines = re.findall(r"^(.*) \(([A-Z]+), [0-9.]+(.*)\)$", out, re.MULTILINE)
    assert [line for line, *_ in lines] == [
        f"{path}:1: node 0 the dog old bit", f"{path}:1: node 1 the dog old"
    ]  # fmt: skip
    label, given = lines[1][1:]
    assert lines[0][2] == ", given X ✗" and given == f", given NP{'' if label == 'NP' else ' ✗'}"
    (other, one) = json.loads(call("predict", f"run={run}", f"path={path}", "--json").out)
    assert (one["given"], one["wrong"]) == ("NP", label != "NP")
    assert (other["given"], other["wrong"]) == ("X", True)
    bad = write(tmp_path, "bad.mrg", "(X (X a)\n(X))")
    assert refused("predict", f"run={run}", f"path={bad}") == (
        f"{bad}, line 2, column 3: an empty node: label and then ')'"
    )
    conllu = write(tmp_path, "a.conllu", rows(("a", 0, "root")))
    assert "the net was trained on constituents" in refused(
        "predict", f"run={run}", f"path={conllu}"
    )
    assert not opened(run).task.dependencies


@pytest.mark.slow
def test_it_trains_on_dependencies_and_predicts_relations(tmp_path):
    draw, text = random.Random(0), ""
    for _ in range(40):
        noun = draw.choice(["dog", "cat", "man", "cow", "pig", "hen"])
        text += rows(("the", 2, "det"), (noun, 3, "nsubj"), (draw.choice("abcd"), 0, "root")) + "\n"
    path = write(tmp_path, "all.conllu", text)
    topology = ("topology=tree", "topology.arity=null", "topology.direction=both")
    words = ("task=trees", *topology, f"task.root={path}", f"run={tmp_path / 'run'}")
    status, out, err = call(
        "train", *words, *SMALL, "trainer.max_epochs=30", "trainer.learning_rate=0.02"
    )
    assert status == 0, err
    status, out, err = call("predict", f"run={tmp_path / 'run'}", f"path={path}", "top=3")
    words = [line.split("\t")[1] for line in text.split("\n")[:3]]
    found = re.findall(r"node \d (\S+) \((\S+),", out)
    assert found == list(zip(words, ["det", "nsubj", "root"], strict=True))


@pytest.mark.parametrize(
    ("name", "text", "node", "around"),
    [
        ("a.mrg", "(S (NP (A the) (B dog)) (C bit))\n" * 2 + "(S (A b))\n(S (A c))", 1,
         ([], "the dog", [])),
        ("a.conllu", "\n".join(rows((word, 2, "a"), ("bit", 0, "b")) for word in "xyz"), 1,
         (["x"], "bit", [])),
    ],
)  # fmt: skip
def test_a_mistake_has_words_around_it_where_nodes_are_words(tmp_path, name, text, node, around):
    topology = sn.topologies.create("tree", arity=None)
    task = sn.tasks.create("trees", root=str(write(tmp_path, name, text)))
    splits = task.keep(task.load(topology))
    (sample, *_) = [one for some in splits.values() for one in some if one.origin.line == 1]
    run = SimpleNamespace(task=task, topology=topology)
    one = _mistake(run, sample, Wrong(0.5, 0, node, 0, 0, 0.5), task.classes)
    assert tuple(map(list, one.around[::2])) == around[::2] and one.around[1] == around[1]
    assert _text(one) == ("the dog" if name == "a.mrg" else "x [bit]")


REFUSED = {
    "arity": (["topology.arity=2"], "set topology.arity=null, got 2"),
    "binarise": (
        ["topology.arity=null", "task.binarise=left"],
        "task.binarise is for constituents",
    ),
    "traces": (["topology.arity=null", "task.traces=true"], "task.traces is for constituents"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_options_of_constituents_are_refused_for_dependencies(tmp_path, case):
    words, what = REFUSED[case]
    path = write(tmp_path, "a.conllu", "\n".join(rows((word, 0, "root")) for word in "abcd"))
    said = refused("train", "task=trees", "topology=tree", f"task.root={path}",
                   f"run={tmp_path / 'run'}", *words)  # fmt: skip
    assert what in said
    assert not (tmp_path / "run").exists()


def test_what_has_no_trees_is_refused(tmp_path):
    for name, text, what in (
        ("a.csv", "a", "the name of a file with trees ends in .mrg"),
        ("one.mrg", "(S (NN a))", "has trees over 1 different texts, at least 3 are needed"),
        (
            "leaves.mrg",
            "(NN a)\n(NN b)\n(NN c)\n(NN d)",
            "no scored node has a label; see task.score",
        ),
        ("none.mrg", "; nothing", "has no trees"),
    ):
        with pytest.raises(ValueError, match=re.escape(what)):
            load(write(tmp_path, name, text))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match="no file below"):
        load(empty)
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        load(tmp_path / "nowhere")


def test_a_node_with_more_children_than_slots_is_named_with_what_helps(folder, tmp_path):
    task, _ = load(folder, arity=3)
    path = write(tmp_path, "a.mrg", "(S (NN a))\n(S (NP (A a) (B b)) (VP (A a) (B b) (C c) (D d)))")
    topology = sn.topologies.create("tree", arity=3)
    with pytest.raises(ValueError) as caught:
        list(task.read(path, topology))
    assert str(caught.value) == (
        f"{path}, line 2: node 4, 'VP', has 4 children, the net's trees have at most 3: set "
        "task.binarise=right, or train with topology.arity=4, or null for any number"
    )
    with pytest.raises(ValueError, match="set task"):
        load(path, arity=3)
    task.binarise = "right"
    assert len(list(task.read(path, topology))) == 2


def test_a_node_of_20_000_children_takes_memory_by_their_number(tmp_path):
    """A table of children would take 3.2 GB."""
    count = 20_000
    stars = [f"(S {'(A a) ' * (count if n == 0 else n + 1)})" for n in range(4)]
    for number, split in enumerate(("train", "dev", "test")):
        write(tmp_path, f"{split}.mrg", stars[number])
    task, splits = load(tmp_path, arity=None)
    topology = sn.topologies.create("tree", arity=None, direction="both")
    tracemalloc.start()
    batch = sn.collate(splits["train"], topology)
    sizes = sn.Sizes(task.vocabulary, None, len(task.classes))
    net = sn.Net(sizes, topology, "lstm", "every", embedding_size=2, hidden_size=2)
    task.loss(net(batch), batch).backward()
    assert tracemalloc.get_traced_memory()[1] < 2**28
    tracemalloc.stop()
    assert all(one.grad.isfinite().all() for one in net.parameters() if one.grad is not None)


def test_the_examples_of_trees_in_memory_run(tmp_path, capsys):
    page = (Path(__file__).parents[1] / "docs" / "trees-treebanks.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    shapes = [
        tuple(runpy.run_path(write(tmp_path, f"{number}.py", block))["h"].shape)
        for number, block in enumerate(blocks)
    ]
    assert shapes == [(5, 16), (3, 32)]
    assert capsys.readouterr().out.splitlines() == [
        "['S', 'NP', 'DT', 'NN', 'VP'] ['', '', 'the', 'dog', 'barks']", "['root', 'nsubj', 'det']"
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("form", ["brackets", "nested", "flat"])
def test_trees_of_100_000_levels_are_read_and_made_binary(tmp_path, form):
    depth, limit = 100_000, sys.getrecursionlimit()
    if form == "brackets":
        text, name = "(A (w b) (w c) " * depth + "(w a)" + ")" * depth, "all.mrg"
    elif form == "nested":
        leaf, name = '{"label": "w", "word": "a"}', "all.json"
        text = f'{{"label": "A", "children": [{leaf}, {leaf}, ' * depth + leaf + "]}" * depth
    else:
        labels, words, parents = ["A"], ["null"], [-1]
        for level in range(depth):
            labels += ["w", "w", "A" if level + 1 < depth else "w"]
            words += ['"a"', '"a"', "null" if level + 1 < depth else '"a"']
            parents += [3 * level] * 3
        labels = ", ".join(f'"{label}"' for label in labels)
        text = f'{{"labels": [{labels}], "words": [{", ".join(words)}], "parents": {parents}}}'
        name = "all.json"
    path = write(tmp_path, name, text)
    (tree,) = read_trees(path)
    assert len(tree) == 3 * depth + 1
    for side in ("left", "right", "head"):
        assert changes.unbinarised(changes.binarised(tree, side)).labels == tree.labels
    tree = tree.with_labels(["A" if label == "A" else "w" for label in tree.labels])
    joined = changes.collapsed(tree)
    assert changes.expanded(joined).labels == tree.labels
    assert len(changes.without_traces(tree)) == len(tree)
    assert sys.getrecursionlimit() == limit


@pytest.mark.slow
def test_a_tree_of_100_000_levels_is_planned_and_trained(tmp_path):
    depth = 100_000
    splits = tmp_path / "splits"
    splits.mkdir()
    for split in ("train", "dev", "test"):
        count = depth if split == "train" else 2
        write(splits, f"{split}.mrg", "(A (w b) (w c) " * count + "(w a)" + ")" * count)
    task, loaded = load(splits, binarise="head")
    batch = sn.collate(loaded["train"], sn.topologies.create("tree"))
    sizes = sn.Sizes(task.vocabulary, None, len(task.classes))
    net = sn.Net(sizes, "tree", "lstm", "every", embedding_size=2, hidden_size=2)
    assert len(batch.plans[0].levels) - 1 == depth + 2
    loss = task.loss(net(batch), batch)
    loss.backward()
    assert all(one.grad.isfinite().all() for one in net.parameters() if one.grad is not None)
    (sample,) = loaded["train"]
    assert len(task.node_names(sample)) == len(batch.x)
