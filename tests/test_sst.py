import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import SST, WORDS, needs_sst, write_sst

import structnet as sn
from structnet.data.batch import collate
from structnet.plugins.treebanks.brackets import read_brackets, read_line

HERE = Path("trees.txt")


def parse(text, number=1):
    return read_line(sn.Origin(HERE, number, text)).tree()


def create(root, topology="tree", **options):
    """The task and its splits."""
    task = sn.tasks.create("sst", root=str(root), **options)
    return task, task.keep(task.load(sn.topologies.create(topology)))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write_sst(tmp_path_factory.mktemp("sst"))


@pytest.fixture(scope="module")
def treebank():
    return {name: list(read_brackets(SST / f"{name}.txt")) for name in ("train", "dev", "test")}


# Brackets


def test_a_tree_is_read_in_pre_order():
    tree = parse("(3 (2 (1 It) (2 's)) (4 good))", 7)
    assert tree.labels == ["3", "2", "1", "2", "4"]
    assert tree.words == ["", "", "It", "'s", "good"]
    assert tree.parent.tolist() == [-1, 0, 1, 1, 0]
    assert (tree.path, tree.line, tree.text) == (HERE, 7, "It 's good")


@pytest.mark.parametrize("text", ["(2 a)", "  (2 a)  ", "(2 a)\n", "(2 a)\r\n", "( 2\ta )"])
def test_a_tree_of_one_node_is_a_tree_whatever_the_space_around(text):
    tree = parse(text)
    assert (tree.labels, tree.words, tree.parent.tolist()) == (["2"], ["a"], [-1])


def test_a_node_may_have_one_child_or_many():
    tree = parse("(S (A (B a) (C b) (D c)) (E (F d)))")
    assert tree.parent.tolist() == [-1, 0, 1, 1, 1, 0, 5]


def test_a_word_may_hold_any_character_but_brackets_and_space():
    for word in ("\\/", "-LRB-", "naïve", "a\xa0b", "\u2028", "2", "'", '"'):
        assert parse(f"(2 (1 {word}) (2 b))").words[1] == word


MISTAKES = {
    "(3 (2 a) (2 b)": (15, "a bracket is not closed"),
    "(3 (2 a (2 b))": (9, "'(' after the word 'a'"),
    "(3 (2 a) (2 b)))": (16, "')' after the end of the tree"),
    "(3 a) (2 b)": (7, "'(' after the end of the tree"),
    "(3 a) b": (7, "'b' after the end of the tree"),
    "(3 (2 a) b)": (10, "a second word, or a word next to children: 'b'"),
    "(3 a b)": (6, "a second word, or a word next to children: 'b'"),
    "(3 a (2 b))": (6, "'(' after the word 'a'"),
    "": (1, "nothing to read"),
    "   \n": (1, "nothing to read"),
    "()": (2, "an empty node"),
    "(3)": (3, "an empty node"),
    "(3 (2))": (6, "an empty node"),
    "3 a)": (1, "a tree begins with '(', got '3'"),
    ")": (1, "')' closes no bracket"),
    "(": (2, "a bracket is not closed"),
    "(((": (3, "a label is missing before '('"),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_named_by_file_line_and_column(text):
    column, what = MISTAKES[text]
    with pytest.raises(ValueError) as caught:
        parse(text, 12)
    assert str(caught.value).startswith(f"trees.txt, line 12, column {column}: {what}")


def test_a_mistake_in_a_file_is_named_by_its_line(tmp_path):
    path = tmp_path / "trees.txt"
    path.write_text("(2 a)\n(3 (2 a) (2 b))\n(2 a\n")
    trees = read_brackets(path)
    assert [next(trees).line, next(trees).line] == [1, 2]
    with pytest.raises(ValueError, match=re.escape(f"{path}, line 3, column 5")):
        next(trees)


def test_a_file_that_is_not_text_is_named(tmp_path):
    path = tmp_path / "trees.txt"
    path.write_bytes(b"(2 \xff)\n")
    with pytest.raises(ValueError, match=re.escape(str(path))):
        list(read_brackets(path))


@pytest.mark.parametrize("side", ["left", "right", "single"])
def test_a_tree_of_100_000_levels_is_read(side):
    depth = 100_000
    opening, closing = {
        "left": ("(2 " * depth + "(2 a)", " (2 b))" * depth),
        "right": ("(2 (2 b) " * depth + "(2 a)", ")" * depth),
        "single": ("(2 " * depth + "(2 a)", ")" * depth),
    }[side]
    limit = sys.getrecursionlimit()
    tree = parse(opening + closing)
    assert sys.getrecursionlimit() == limit
    assert len(tree.labels) == (depth + 1 if side == "single" else 2 * depth + 1)
    with pytest.raises(ValueError, match="a bracket is not closed"):
        parse(opening + closing[:-1])
    children = sn.Edges.of_parents(tree.parent).table()
    (plan,) = sn.topologies.create("tree").plan([np.pad(children, ((0, 0), (0, 1)),
        constant_values=-1)[:, :2]])  # fmt: skip
    assert plan.num_nodes == len(tree.labels)


# The task on a small treebank


def test_a_sample_has_a_target_at_every_node(small):
    _, splits = create(small)
    for sample in splits["train"]:
        assert sample.y.tolist() == [int(label) for label in sample.origin.labels]
        assert len(sample.x) == len(sample.y) == len(sample.structure)


def test_only_leaves_have_words(small):
    task, splits = create(small)
    for sample in splits["train"]:
        counts = np.diff(sample.x.ptr)
        leaves = (np.asarray(sample.structure) < 0).all(axis=1)
        assert (counts == leaves).all()
        words = [word for word in sample.origin.words if word]
        assert sample.x.ids.tolist() == [task.vocabulary[word] for word in words]


def test_children_come_in_the_order_of_their_brackets(small):
    _, splits = create(small)
    for sample in splits["train"]:
        for node, row in enumerate(np.asarray(sample.structure)):
            expected = np.flatnonzero(sample.origin.parent == node)
            assert [child for child in row if child >= 0] == expected.tolist()


@pytest.mark.parametrize("topology", ["chain", "bichain"])
def test_a_sequence_is_the_words_with_the_sentences_label(small, topology):
    task, splits = create(small, topology)
    for sample in splits["train"]:
        words = [word for word in sample.origin.words if word]
        assert sample.structure == len(words) == len(sample.x)
        assert sample.x.ids.tolist() == [task.vocabulary[word] for word in words]
        assert sample.y.tolist() == [int(sample.origin.labels[0])]


def test_binary_drops_neutral_sentences_and_leaves_neutral_phrases_out(small):
    task, splits = create(small, binary=True)
    _, fine = create(small)
    assert list(task.classes) == ["negative", "positive"]
    for split, samples in splits.items():
        kept = [sample for sample in fine[split] if sample.y[0] != 2]
        assert len(samples) == len(kept) < len(fine[split])
        for sample, other in zip(samples, kept, strict=True):
            expected = {0: 0, 1: 0, 2: sn.IGNORE, 3: 1, 4: 1}
            assert sample.y.tolist() == [expected[label] for label in other.y.tolist()]


def test_a_rare_word_is_unknown(small):
    task, _ = create(small, min_count=1)
    words = {word for tree in read_brackets(small / "train.txt") for word in tree.words if word}
    assert len(task.vocabulary) == 1 + len(words) and words <= set(WORDS)
    with pytest.raises(ValueError, match="'min_count' is at least 1, got 0"):
        sn.tasks.create("sst", min_count=0)


@pytest.mark.parametrize("label", ["5", "-1", "x", "2.0", "²", "02"])
def test_a_label_that_is_no_class_is_named(tmp_path, label):
    folder = write_sst(tmp_path)
    with (folder / "dev.txt").open("a", encoding="utf-8") as file:
        file.write(f"(3 (2 a) ({label} good))\n")
    with pytest.raises(ValueError) as caught:
        create(folder)
    message = str(caught.value)
    assert str(folder / "dev.txt") in message and "line 9" in message
    assert repr(label) in message and "'good'" in message and "0 to 4" in message


def test_an_empty_file_is_refused(tmp_path):
    folder = write_sst(tmp_path)
    (folder / "test.txt").write_text("")
    with pytest.raises(ValueError, match=r"no trees in .*test\.txt"):
        create(folder)


def test_a_treebank_of_neutral_sentences_has_nothing_binary(tmp_path):
    folder = write_sst(tmp_path)
    (folder / "dev.txt").write_text("(2 (1 a) (3 b))\n")
    with pytest.raises(ValueError, match=r"no trees in .*dev\.txt"):
        create(folder, binary=True)


def test_missing_files_are_named_with_the_ways_to_point_to_them(tmp_path, monkeypatch):
    monkeypatch.delenv("STRUCTNET_DATA", raising=False)
    for root in (None, tmp_path):
        task = sn.tasks.create("sst", root=None if root is None else str(root))
        with pytest.raises(FileNotFoundError) as caught:
            task.load(sn.topologies.create("tree"))
        message = str(caught.value)
        for fragment in ("train.txt", "dev.txt", "test.txt", "task.root=", "STRUCTNET_DATA"):
            assert fragment in message
        assert root is None or str(root) in message


def test_the_files_are_found_where_the_environment_says(tmp_path, monkeypatch):
    write_sst(tmp_path / "sst" / "trees")
    monkeypatch.setenv("STRUCTNET_DATA", str(tmp_path))
    task = sn.tasks.create("sst")
    assert len(task.load(sn.topologies.create("tree"))["train"]) == 31


def test_sentences_are_measured_apart_from_phrases(small):
    topology = sn.topologies.create("tree")
    task, splits = create(small)
    batch = collate(splits["test"], topology)
    # Right at every root, wrong everywhere else.
    right = torch.nn.functional.one_hot(batch.y, 5).float()
    wrong = torch.nn.functional.one_hot((batch.y + 1) % 5, 5).float()
    roots = batch.ptr[:-1]
    output = wrong.index_copy(0, roots, right[roots])
    figures = {}
    metrics = task.metrics()
    for name, (scores, target) in task.measured(output, batch).items():
        metrics[name].update(scores, target)
        figures[name] = metrics[name].compute().item()
    assert figures["accuracy"] == 1
    assert figures["phrases"] == pytest.approx(batch.num_samples / batch.num_nodes)


@pytest.mark.parametrize("readout", ["every", "root"])
def test_the_loss_is_that_of_every_node_or_of_the_sentence(small, readout):
    topology = sn.topologies.create("tree")
    task, splits = create(small)
    batch = collate(splits["test"], topology)
    scores = torch.randn(batch.num_nodes, 5)
    if readout == "every":
        expected = torch.nn.functional.cross_entropy(scores, batch.y)
    else:
        scores = scores[batch.ptr[:-1]]
        expected = torch.nn.functional.cross_entropy(scores, batch.y[batch.ptr[:-1]])
    assert torch.equal(task.loss(scores, batch), expected)


def test_a_sentence_is_read_for_prediction_without_its_labels(small, tmp_path):
    task, _ = create(small)
    path = tmp_path / "mine.txt"
    path.write_text("(x (y good) (z film))\n")
    (sample,) = task.read(path, sn.topologies.create("tree"))
    assert sample.y.tolist() == [sn.IGNORE] * 3
    assert sample.origin.text == "good film"


def test_baselines_are_the_most_frequent_class_and_words_with_bigrams(small):
    task, splits = create(small)
    found = task.baselines()
    assert set(found) == {"majority", "unigrams", "bigrams"}
    labels = [int(sample.y[0]) for sample in splits["train"]]
    frequent = max(sorted(set(labels)), key=labels.count)
    share = np.mean([int(sample.y[0]) == frequent for sample in splits["test"]])
    assert found["majority"]["accuracy"] == pytest.approx(share)


# The real one


@needs_sst
def test_the_treebank_has_its_trees_nodes_and_leaves(treebank):
    trees = [len(treebank[name]) for name in ("train", "dev", "test")]
    nodes = [sum(len(tree.labels) for tree in treebank[name]) for name in treebank]
    leaves = [sum(1 for tree in treebank[name] for word in tree.words if word) for name in treebank]
    assert trees == [8544, 1101, 2210]
    assert nodes == [318582, 41447, 82600]
    assert leaves == [163563, 21274, 42405]


@needs_sst
def test_every_tree_is_what_nltk_reads(treebank):
    from nltk import Tree

    pattern = r"[^ ()]+"
    for name, trees in treebank.items():
        lines = (SST / f"{name}.txt").read_text(encoding="utf-8").split("\n")[: len(trees)]
        for tree, line in zip(trees, lines, strict=True):
            expected = Tree.fromstring(line, node_pattern=pattern, leaf_pattern=pattern)
            labels, words, sizes = [], [], []
            for node in expected.subtrees():
                labels.append(node.label())
                words.append(node[0] if isinstance(node[0], str) else "")
                sizes.append(sum(isinstance(child, Tree) for child in node))
            assert tree.labels == labels
            assert tree.words == words
            above = tree.parent[tree.parent >= 0]
            assert np.bincount(above, minlength=len(labels)).tolist() == sizes


@needs_sst
def test_binary_sentences_are_as_many_as_published():
    _, splits = create(SST, binary=True)
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [6920, 872, 1821]
    for samples in splits.values():
        assert all(sample.y[0] in (0, 1) for sample in samples)


@needs_sst
def test_a_few_steps_on_the_real_treebank_lower_the_loss():
    from functools import partial

    from structnet.nn.net import Net
    from structnet.nn.sizes import Sizes

    topology = sn.topologies.create("tree")
    task, splits = create(SST)
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [8544, 1101, 2210]
    net = Net(
        Sizes(task.vocabulary, None, task.num_outputs), topology,
        partial(sn.cells.create, "lstm"), partial(sn.readouts.create, task.readout(topology)),
        embedding_size=32, hidden_size=32,
    ).eval()  # fmt: skip
    batch = collate(splits["train"][:100], topology)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
    losses = []
    for _ in range(12):
        loss = task.loss(net(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
