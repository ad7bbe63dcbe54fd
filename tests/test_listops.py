"""ListOps: expressions, their trees and values, and the task on them."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

import structnet as sn
from structnet.plugins.tree.listops.expression import OPERATORS, parse, read_expressions
from structnet.plugins.tree.tasks.listops import DEEPER

HERE = Path("lines.tsv")


def typed(text, number=1):
    return parse(sn.Origin(HERE, number, text))


def leaves_in_order(tree):
    """The words of a tree's leaves, read by its child table from the root on."""
    found, stack = [], [len(tree.words) - 1]
    while stack:
        node = stack.pop()
        left, right = tree.children[node]
        if left < 0:
            found.append(tree.words[node])
        else:
            stack += [right, left]
    return found


def value_of(text):
    """The value by Python's own arithmetic, operator by operator from the inside."""
    tokens = text.split()
    while "]" in tokens:
        end = tokens.index("]")
        begin = max(at for at in range(end) if tokens[at] in OPERATORS)
        values = [int(token) for token in tokens[begin + 1 : end]]
        known = {
            "[MAX": max(values), "[MIN": min(values), "[MED": int(np.median(values)),
            "[SM": sum(values) % 10, "[FIRST": values[0], "[LAST": values[-1],
        }  # fmt: skip
        tokens[begin : end + 1] = [str(known[tokens[begin]])]
    return int(tokens[0])


def drawn(seed, operators=tuple(OPERATORS)):
    """A random expression without round brackets."""
    draw = np.random.default_rng(seed)
    tokens = [str(draw.integers(10))]
    for _ in range(seed % 7):
        at = draw.choice([at for at, token in enumerate(tokens) if token.isdecimal()])
        arguments = map(str, draw.integers(0, 10, draw.integers(1, 5)))
        tokens[at : at + 1] = [str(draw.choice(operators)), *arguments, "]"]
    return " ".join(tokens)


@pytest.mark.parametrize("seed", range(20))
def test_an_expression_has_its_value_and_its_words_in_the_leaves_of_its_tree(seed):
    text = drawn(seed)
    one = typed(text)
    assert one.value == value_of(text)
    assert leaves_in_order(one.tree) == one.text.split() == text.split()
    assert one.depth <= seed % 7


def test_round_brackets_and_none_give_the_same_tree():
    one = typed("( ( ( ( [MAX 2 ) ( ( ( [MIN 4 ) 7 ) ] ) ) 0 ) ] )")
    other = typed("[MAX 2 [MIN 4 7 ] 0 ]")
    assert (one.value, one.depth, one.text) == (other.value, other.depth, other.text) == (
        4, 2, "[MAX 2 [MIN 4 7 ] 0 ]",
    )  # fmt: skip
    assert one.tree.words == other.tree.words
    assert np.array_equal(one.tree.children, other.tree.children)


def test_a_digit_is_an_expression_of_one_node():
    one = typed("7")
    assert (one.value, one.depth, one.tree.words) == (7, 0, ["7"])


MISTAKES = {
    "": "column 1: '' is empty",
    "2 3": "column 3: '3' after the expression's end",
    "10": "column 1: '10', expected a digit",
    "[max 2 ]": "column 1: '[max', expected a digit, ] or one of",
    "] 2": "column 1: ']' closes no operator",
    "[MAX ]": "column 6: '[MAX' has no arguments",
    "[MAX 2 [MIN 3 ]": "column 1: '[MAX' is not closed by ']'",
    "( [MAX 2 ] )": "column 1: these round brackets have 3 in them, expected a pair",
    "( ( [MAX ( 2 ) ) ] )": "column 10: these round brackets have 1 in them, expected a pair",
    "( ( [MAX 2 ) ] ) )": "column 18: ')' after the end of the tree",
    ") [MAX 2 ]": "column 1: ')' closes no bracket",
    "( ( [MAX 2 ) ]": "column 15: a bracket is not closed",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_named_with_its_column(text):
    with pytest.raises(ValueError) as error:
        typed(text, 3)
    assert str(error.value).startswith(f"lines.tsv, line 3, {MISTAKES[text]}")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[MAX 2 ]", "expected a value from 0 to 9, a tab and an expression"),
        ("12\t[MAX 2 ]", "expected a value from 0 to 9"),
        ("3\t[MAX 2 ]", "line 2: '3', expected the value of the expression, 2"),
        ("3\t[MAX ]", "line 2, column 8: '[MAX' has no arguments"),
    ],
)
def test_a_line_is_refused_with_its_number(tmp_path, line, message):
    path = tmp_path / "lines.tsv"
    path.write_text(f"2\t[MAX 2 ]\n{line}\n")
    with pytest.raises(ValueError, match=r"lines\.tsv, line 2") as error:
        list(read_expressions(path))
    assert message in str(error.value)


def test_deep_expressions_are_read_without_recursion():
    one = typed("[MAX 1 " * 17_000 + "2 " + "] " * 17_000)
    assert (one.value, one.depth, len(one.tree.words)) == (2, 17_000, 102_001)


@pytest.fixture
def folder(tmp_path):
    draw = {"mine": range(80), "test_other": range(40, 130)}
    for name, seeds in draw.items():
        lines = "".join(f"{value_of(drawn(seed))}\t{drawn(seed)}\n" for seed in seeds)
        with gzip.open(tmp_path / f"{name}.tsv.gz", "wt") as file:
            file.write(lines)
    return tmp_path


def create(folder, topology="tree", **options):
    task = sn.tasks.create("listops", root=str(folder), train="mine", **options)
    return task, task.keep(task.load(sn.topologies.create(topology)))


def test_no_expression_of_the_training_split_is_in_another_one(folder):
    _, splits = create(folder, test="other")
    texts = {split: [one.origin.text for one in some] for split, some in splits.items()}
    for split in ("validation", "test"):
        assert texts[split] and not {*texts[split]} & {*texts["train"]}
    every = {drawn(seed) for seed in range(80)}
    assert len(texts["train"]) + len(texts["validation"]) == len(every)
    assert {*texts["train"], *texts["validation"]} == every
    assert {*texts["test"]} == {drawn(seed) for seed in range(40, 130)} - {*texts["train"]}


def test_the_file_trained_on_gives_a_tenth_to_its_own_test(folder):
    _, splits = create(folder, test="other,mine", limit=20)
    files = {one.origin.path.name for one in splits["test"]}
    assert files == {"mine.tsv.gz", "test_other.tsv.gz"} and len(splits["train"]) == 20


def test_sequences_are_the_words_and_trees_have_them_as_leaves(folder):
    _, trees = create(folder, test="other")
    task, chains = create(folder, "chain", test="other")
    for tree, chain in zip(trees["test"], chains["test"], strict=True):
        names = task.node_names(chain)
        assert chain.structure == len(names) and " ".join(names) == chain.origin.text
        assert [name for name in tree.origin.tree.words if name] == list(names)
        assert int(tree.y) == int(chain.y) == value_of(chain.origin.text)


def test_every_file_and_depth_has_an_accuracy_of_its_own(folder):
    task, splits = create(folder, test="other,mine")
    samples = list(splits["test"])
    batch = sn.collate(samples, sn.topologies.create("tree"))
    output = torch.nn.functional.one_hot(batch.y, 10).float()
    output[0] = 1 - output[0]
    found = task.measured(output, batch)
    counts = {name: len(y) for name, (_, y) in found.items()}
    assert counts["accuracy"] == len(samples) == counts["other"] + counts["mine"]
    assert sum(counts[name] for name in DEEPER) == len(samples)
    right = {name: int((out.argmax(1) == y).sum()) for name, (out, y) in found.items()}
    assert right["other"] == counts["other"] - 1 and right["mine"] == counts["mine"]
    assert set(task.metrics()) == set(found)


@pytest.mark.slow
def test_the_baselines_have_the_figures_of_the_net(folder):
    task, _ = create(folder, test="other,mine")
    found = task.baselines()
    assert set(found) == {"majority", "regression"}
    for figures in found.values():
        assert set(figures) <= set(task.metrics()) and {"other", "mine"} <= set(figures)


def test_a_missing_file_is_named(folder):
    with pytest.raises(FileNotFoundError, match=r"test_nothing\.tsv\.gz"):
        create(folder, test="other,nothing")
    with pytest.raises(ValueError, match="'test' is names of files with commas between"):
        create(folder, test="other,,mine")


def test_a_users_expression_is_read_with_and_without_brackets(folder):
    topology = sn.topologies.create("tree")
    task, _ = create(folder, test="other")
    read = [
        task.read_text(sn.Origin("text", 1, text), topology)
        for text in ("[MAX 2 9 ]", "( ( ( [MAX 2 ) 9 ) ] )")
    ]
    assert np.array_equal(read[0].structure, read[1].structure)
    assert np.array_equal(read[0].x.ids, read[1].x.ids)
