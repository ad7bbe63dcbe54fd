"""Finding trees: search against all binary trees, the loss by definition, brackets by hand."""

import json
import random
from collections import Counter
from functools import cache
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import nltk
import numpy as np
import pytest
import torch
from commands import SMALL, call, opened, refused

import structnet as sn
from structnet.plugins.files.lines import Line
from structnet.plugins.text.corpora import nltk_corpus
from structnet.plugins.tree.nets.parser import Parser
from structnet.plugins.tree.parsing import evalb
from structnet.plugins.tree.parsing.beam import Wanted, search
from structnet.plugins.tree.parsing.cky import search_chart
from structnet.plugins.tree.parsing.constituents import (
    Phrases,
    given_tree,
    labels_of,
    mistakes,
)
from structnet.plugins.tree.parsing.gold import ANY, Gold
from structnet.plugins.tree.parsing.nodes import Nodes
from structnet.plugins.treebanks import changes
from structnet.plugins.treebanks.brackets import bracketed, read_treebank
from structnet.plugins.treebanks.reading import read_sample

SENTENCES = (
    "(S (NP (DT the) (JJ old) (NN dog)) (VP (VBD saw) (NP (PRP it))) (. .))",
    "(NN a)",
    "(NP (DT a) (NN b))",
    "(S (S (NP (PRP I)) (VP (VB am))) (CC and) (S (NP (PRP you)) (VP (VB are))))",
    "(S (NP (NN a) (NN b)) (, ,) (VP (VB c) (NP (NN d)) (PP (IN e) (NP (NN f)))))",
)


def read(text):
    (tree,) = read_treebank([Line(Path("a.mrg"), 1, text)])
    return changes.collapsed(tree, with_words=True)


TREES = [read(text) for text in SENTENCES]
CLASSES = sorted({label for tree in TREES for label in labels_of(tree)})
NUMBERS = {label: at for at, label in enumerate(CLASSES, start=1)}


def batch_of(trees, topology="chain", seed=0):
    """A batch with random features."""
    draw = np.random.default_rng(seed)
    samples = [
        sn.Sample(
            len(tree.leaves), draw.normal(size=(len(tree.leaves), 3)), np.array(sn.IGNORE),
            parts=(given_tree(tree, NUMBERS),),
        )
        for tree in trees
    ]  # fmt: skip
    return sn.collate(samples, sn.topologies.create(topology))


def net_of(topology="chain", cell="lstm", seed=0, **options):
    torch.manual_seed(seed)
    sizes = sn.Sizes(None, 3, 1 + len(CLASSES), parts=("tree",))
    options = {"hidden_size": 4, "dropout": 0.0, **options}
    net = Parser(sizes, topology, cell, "every", sn.heads["softmax"], **options).double()
    with torch.no_grad():
        # So that trees differ by more than a margin.
        net.score.weight.mul_(8)
    return net


@cache
def binary_trees(first, stop):
    """All binary trees over words, as nested pairs; a word is its number."""
    if stop - first == 1:
        return (first,)
    return tuple(
        (left, right)
        for middle in range(first + 1, stop)
        for left in binary_trees(first, middle)
        for right in binary_trees(middle, stop)
    )


def leaves_of(tree):
    return {tree} if isinstance(tree, int) else leaves_of(tree[0]) | leaves_of(tree[1])


def inner(tree):
    """The nodes of a tree that are not words."""
    return [] if isinstance(tree, int) else [*inner(tree[0]), *inner(tree[1]), tree]


def given_brackets(tree):
    """The leaves below every node of a given tree, as sets."""
    found = []
    for node in range(len(tree)):
        first, stop = tree.spans[node]
        found.append(set(range(first, stop)))
    return found


def is_wrong(node, brackets):
    below = leaves_of(node)
    return any(below & one and not (below <= one or one <= below) for one in brackets)


def score_by_hand(net, leaves, tree):
    """The score of a tree, node by node; `leaves` are the states of a sample's leaves."""
    known = {}

    def states(node):
        if isinstance(node, int):
            return [state[node] for state in leaves]
        if node not in known:
            before = [torch.stack(pair)[None] for pair in zip(*map(states, node), strict=True)]
            cell = net.tree.cells[0]
            z = cell.project(leaves[0].new_zeros(1, 1))
            found = cell(z, *before)
            known[node] = [one[0] for one in (found if isinstance(found, tuple) else (found,))]
        return known[node]

    return sum((net.score(states(node)[0])[0] for node in inner(tree)), torch.zeros(()).double())


def nested(children, node=-1):
    """A found tree as nested pairs."""
    left, right = children[node].tolist()
    if left < 0:
        return int(node % len(children))
    return nested(children, left), nested(children, right)


def per_sample(batch, states):
    bounds = batch.ptr.tolist()
    return [[s[a:b] for s in states] for a, b in pairwise(bounds)]


@pytest.mark.parametrize(
    ("topology", "search", "beam"),
    [("chain", "beam", 1000), ("bichain", "beam", 1000), ("chain", "cky", 132)],
)
def test_a_wide_search_finds_the_best_of_all_binary_trees(topology, search, beam):
    net, batch = net_of(topology, search=search, beam=beam).eval(), batch_of(TREES, topology)
    with torch.no_grad():
        found, leaves = net(batch), per_sample(batch, net.leaves(batch))
        for at, tree in enumerate(TREES):
            every = {
                one: float(score_by_hand(net, leaves[at], one))
                for one in binary_trees(0, len(tree.leaves))
            }
            said = nested(found.children[found.ptr[at] : found.ptr[at + 1]])
            assert said == max(every, key=lambda one: every[one])
            assert found.totals[at] == pytest.approx(every[said], abs=1e-12)


@pytest.mark.parametrize(
    ("search", "beam", "memory", "what"),
    [
        ("beam", 10**12, 2**19, "nodes"),
        ("cky", 10**12, 2**23, "places"),
        ("cky", 300, 2**23, "pairs of trees"),
    ],
)
def test_a_search_that_needs_more_than_the_memory_is_refused(
    monkeypatch, search, beam, memory, what
):
    monkeypatch.setattr(sn, "total_memory", lambda: memory)
    net = net_of(search=search, beam=beam).eval()
    match = rf"out of memory: the search would have [\d,]+ ({what}), .*smaller net\.beam"
    with torch.no_grad(), pytest.raises(MemoryError, match=match):
        net(batch_of(TREES))


@pytest.mark.parametrize(("search", "beam"), [("beam", 1), ("beam", 3), ("cky", 1), ("cky", 2)])
def test_a_batch_is_searched_as_its_sentences_one_by_one(search, beam):
    net = net_of(search=search, beam=beam).eval()
    with torch.no_grad():
        together = net(batch_of(TREES))
        whole = batch_of(TREES)
        for at in range(len(TREES)):
            rows = slice(*whole.ptr[at : at + 2].tolist())
            one = batch_of([TREES[at]])
            one.x.copy_(whole.x[rows])
            alone, nodes = net(one), slice(*together.ptr[at : at + 2])
            np.testing.assert_array_equal(alone.children, together.children[nodes])
            torch.testing.assert_close(alone.scores, together.scores[nodes])


@pytest.mark.parametrize("cell", ["lstm", "recursive", "gru"])
def test_the_loss_and_its_gradients_are_those_of_the_definition(cell):
    net, batch = net_of(cell=cell, search="cky", train_beam=200, margin=0.7), batch_of(TREES)
    found = net(batch)
    found.violations.sum().backward()
    mine = {name: one.grad for name, one in net.named_parameters() if one.grad is not None}
    net.zero_grad()
    total, states = torch.zeros(()).double(), net.leaves(batch)
    for at, leaves in enumerate(per_sample(batch, states)):
        brackets, scored = given_brackets(TREES[at]), []
        for one in binary_trees(0, len(leaves[0])):
            errors = sum(is_wrong(node, brackets) for node in inner(one))
            scored.append((score_by_hand(net, leaves, one), errors))
        ahead = max(score + 0.7 * errors for score, errors in scored)
        violation = ahead - max(score for score, errors in scored if not errors)
        assert found.violations[at].item() == pytest.approx(violation.item(), abs=1e-10)
        total = total + violation
    assert total > 0
    total.backward()
    for name, grad in mine.items():
        theirs = net.get_parameter(name).grad
        torch.testing.assert_close(grad, torch.zeros_like(grad) if theirs is None else theirs)


def greedy(net, leaves, gain):
    """The merges of a tree in the order of a greedy search: the pair that gains most is next."""
    top, merges = list(range(len(leaves[0]))), []
    while len(top) > 1:
        pairs = list(pairwise(top))
        best = max(range(len(pairs)), key=lambda at: gain(pairs[at]))
        merges.append(pairs[best])
        top[best : best + 2] = [pairs[best]]
    return merges


def test_the_loss_of_a_greedy_search_is_the_largest_lead_after_any_merge():
    net, batch = net_of(margin=0.7, seed=1), batch_of(TREES)
    found = net(batch)
    with torch.no_grad():
        for at, leaves in enumerate(per_sample(batch, net.leaves(batch))):
            brackets = given_brackets(TREES[at])

            def gain(pair, cost, leaves=leaves, brackets=brackets):
                own = sum(score_by_hand(net, leaves, one) for one in pair)
                errors = cost if is_wrong(pair, brackets) else 0.0
                return float(score_by_hand(net, leaves, pair) - own) + errors

            said = [gain(one, 0.7) for one in greedy(net, leaves, lambda pair: gain(pair, 0.7))]
            right = [gain(one, 0) for one in greedy(net, leaves, lambda pair: gain(pair, -np.inf))]
            leads = np.cumsum(np.subtract(said, right))
            expected = max(0.0, *leads) if len(leads) else 0.0
            assert found.violations[at].item() == pytest.approx(expected, abs=1e-10)


def test_a_chart_of_single_nodes_is_exact_where_scores_depend_on_spans_alone():
    draw, length = np.random.default_rng(0), 7
    value = draw.normal(size=(length + 1, length + 1))

    def merge(left, right):
        # A state is the first word of a node and the one after its last.
        spans = torch.stack([left[0][:, 0], right[0][:, 1]], dim=1)
        first, stop = spans.long().T
        return [spans], torch.from_numpy(value)[first, stop]

    words = torch.arange(length)
    states = [torch.stack([words, words + 1], dim=1)]
    nodes = Nodes(states, merge, np.zeros(length, int))
    (found,) = search_chart(nodes, np.array([0, length]), Wanted(np.zeros(1, int), np.zeros(1)))
    best = max(
        sum(value[min(leaves_of(node)), max(leaves_of(node)) + 1] for node in inner(tree))
        for tree in binary_trees(0, length)
    )
    assert nodes["score"][found].sum() == pytest.approx(best)


def test_without_context_a_leaf_depends_on_its_own_input_alone():
    for context in (True, False):
        net, batch = net_of("bichain", context=context).eval(), batch_of(TREES, "bichain")
        before = net.leaves(batch)[0]
        batch.x[0] += 1
        changed = (net.leaves(batch)[0] != before).any(dim=1)
        assert changed.sum() == (len(TREES[0].leaves) if context else 1)
        assert all(one.requires_grad for one in net.parameters())
        net.train()
        net(batch).violations.sum().backward()


def test_crossing_and_labels_are_those_of_sets_of_leaves():
    batch = batch_of(TREES)
    gold = Gold.of(batch.parts[0], batch.ptr.numpy())
    sample = batch.sample_of_node().numpy()
    states = [torch.zeros(batch.num_nodes, 1)]
    nodes = Nodes(states, lambda left, right: (left, torch.zeros(len(left[0]))), sample, gold)
    for at, tree in enumerate(TREES):
        start, count = int(batch.ptr[at]), len(tree.leaves)
        brackets = given_brackets(tree)
        for first in range(count):
            node = np.array([start + first])
            for last in range(first + 1, count):
                node = nodes.merge(node, np.array([start + last]))
                leaves = set(range(first, last + 1))
                crosses = any(leaves & b and not (leaves <= b or b <= leaves) for b in brackets)
                assert nodes["wrong"][node[0]] == crosses
    labels = {(at, node): NUMBERS[one] for at, tree in enumerate(TREES)
              for node, one in enumerate(labels_of(tree))}  # fmt: skip
    found = net_of()(batch)
    assert sorted(set(labels.values())) == sorted(set(found.y.tolist()) - {0})


def test_leaves_of_a_graph_are_merged_where_it_has_edges():
    # A ring of four, in which 0 and 2 are never next to each other as leaves.
    edges = np.array([[0, 1, 2, 0], [1, 2, 3, 3]])
    gains = {}

    def merge(left, right):
        # The leaves below are the bits of the state.
        both = left[0] + right[0]
        return [both], torch.tensor([gains.get(int(one), 0.0) for one in both[:, 0]])

    states = [torch.tensor([[1.0], [2.0], [4.0], [8.0]])]
    gains[0b0101] = 100.0
    gains[0b1100], gains[0b1101] = 2.0, 1.0
    nodes = Nodes(states, merge, np.zeros(4, int))
    (found,) = search(nodes, edges, Wanted(np.zeros(1, int), np.zeros(1)))
    below = nodes.states[0][torch.from_numpy(found), 0].int().tolist()
    assert below == [0b1100, 0b1101, 0b1111]


@pytest.mark.parametrize("search", ["beam", "cky"])
def test_sentences_of_one_word_have_nothing_to_merge(search):
    net, batch = net_of(search=search), batch_of([TREES[1], TREES[1]])
    found = net(batch)
    assert found.violations.tolist() == [0, 0] and len(found.scores) == len(found.y) == 2
    (found.violations.sum() + found.scores.sum()).backward()
    with torch.no_grad():
        parses = net.eval()(batch)
    assert parses.ptr.tolist() == [0, 1, 2] and (parses.children == -1).all()


def test_a_net_merges_the_nodes_of_graphs():
    # A grid of two rows and three columns; the given tree has its left four nodes and the others.
    pairs = [(0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (1, 4), (2, 5)]
    index = np.array([*pairs, *((v, u) for u, v in pairs)]).T
    parent = np.array([6, 6, 7, 6, 6, 7, 8, 8, -1])
    tree = sn.Edges.of_parents(parent).table()
    part = sn.Sample(tree, np.zeros((9, 1)), np.arange(9) % 3, topology=ANY)
    x = np.random.default_rng(0).normal(size=(6, 3))
    sample = sn.Sample(sn.Edges(index, 6), x, np.array(sn.IGNORE), parts=(part,))
    topology = sn.topologies.create("ordered_graph", unvisited="nothing")
    batch = sn.collate([sample, sample], topology)
    net = net_of("ordered_graph", train_beam=2)
    net(batch).violations.sum().backward()
    gold = Gold.of(batch.parts[0], batch.ptr.numpy())
    nodes = net._nodes([state.detach() for state in net.leaves(batch)], batch, gold)
    found = net._search(nodes, batch, Wanted(np.arange(2), np.full(2, -np.inf)))
    for one in found:
        assert len(one) == 5 and not nodes["wrong"][one].any()
        assert nodes["size"][one].max() == 6
        assert sorted(nodes["size"][one])[-2:] == [4, 6]
    with pytest.raises(ValueError, match="search=cky is for sequences"):
        net_of("ordered_graph", search="cky")


def brackets(text):
    return list(Phrases.of(read(text)).brackets())


def counted(text):
    phrases = Phrases.of(read(text))
    return evalb.counted(phrases.brackets(), phrases.tags)


def test_brackets_are_those_of_the_words_that_count():
    assert counted(SENTENCES[0]) == Counter(
        {("S", 0, 5): 1, ("NP", 0, 3): 1, ("VP", 3, 5): 1, ("NP", 4, 5): 1}
    )
    # Chains have a bracket for each label, punctuation has none, nor has TOP.
    text = "(TOP (NP (NP (NN a))) (PRN (: --)) (PRT (RP up)) (. .))"
    assert counted(text) == Counter({("NP", 0, 1): 2, ("ADVP", 1, 2): 1})


@pytest.mark.parametrize(
    ("said", "there", "labelled", "unlabelled"),
    [
        (SENTENCES[0], SENTENCES[0], [4, 4, 4], [4, 4, 4]),
        # A label is wrong, a bracket is missed, and one is made up.
        (
            "(S (NP (DT the) (NN cat)) (VP (VBD sat) (PP (IN on) (NP (NN it)))))",
            "(S (NP (DT the) (NN cat)) (VP (VBD sat) (ADVP (IN on) (NN it))))",
            [3, 5, 4],
            [4, 5, 4],
        ),
        # A bracket is right as often as it is there.
        ("(NP (NP (NN a) (NN b)))", "(NP (NN a) (NN b))", [1, 2, 1], [1, 2, 1]),
        ("(NP (NN a) (NN b))", "(NP (NP (NN a) (NN b)))", [1, 1, 2], [1, 1, 2]),
        ("(ADVP (RP up) (NN a))", "(PRT (RP up) (NN a))", [1, 1, 1], [1, 1, 1]),
        ("(S (, ,) (NN a))", "(NP (S (, ,) (NN a)))", [1, 1, 2], [1, 1, 2]),
    ],
)
def test_right_brackets_are_counted_as_by_hand(said, there, labelled, unlabelled):
    assert evalb.compared(counted(said), counted(there)) == [labelled, unlabelled]


def by_nltk(text):
    """The brackets of a tree that count, by a definition of its own: lists of words."""
    found = []

    def walk(tree):
        if isinstance(tree[0], str):
            return [] if tree.label() in (",", ":", "``", "''", ".") else [next(number)]
        below = [word for child in tree for word in walk(child)]
        if below and tree.label() != "TOP":
            found.append(("ADVP" if tree.label() == "PRT" else tree.label(), tuple(below)))
        return below

    number = count()
    walk(nltk.Tree.fromstring(text))
    return found


def test_brackets_are_those_of_an_independent_count():
    draw = random.Random(0)

    def drawn(depth):
        if depth > 4 or draw.random() < 0.3:
            return f"({draw.choice(['NN', '.', ',', 'VB'])} a)"
        some = [drawn(depth + 1) for _ in range(draw.choice([1, 2, 2, 3]))]
        return f"({draw.choice(['S', 'NP', 'PRT', 'ADVP', 'TOP'])} {' '.join(some)})"

    for text in (f"(S {drawn(0)} {drawn(0)} (NN b))" for _ in range(60)):
        mine = counted(text)
        theirs = Counter((label, below[0], below[-1] + 1) for label, below in by_nltk(text))
        assert mine == theirs


@pytest.mark.slow
def test_every_tree_of_the_penn_treebanks_sample_is_found_again():
    try:
        nltk_corpus("treebank")
    except FileNotFoundError:
        pytest.skip("NLTK's treebank is not on this machine")
    for tree in map(changes.without_traces, read_sample()):
        tree = tree.with_labels([changes.bare_label(label) for label in tree.labels])
        merged = changes.collapsed(tree, with_words=True)
        assert merged.counts().min(initial=2, where=merged.counts() > 0) > 1
        found, _ = Phrases.of(merged).tree(merged.leaves)
        assert bracketed(found) == bracketed(tree)


def test_a_found_tree_gives_the_tree_back():
    for text, tree in zip(SENTENCES, TREES, strict=True):
        phrases = Phrases.of(tree)
        found, probabilities = phrases.tree(tree.leaves)
        assert bracketed(found) == text and len(probabilities) == len(found)
        wrong, missed = mistakes(found, phrases)
        assert not wrong.any() and missed == 0


def test_wrong_nodes_are_marked_and_missing_ones_counted():
    said = read("(S (NP (DT the) (NN cat)) (VP (VBD sat) (PP (IN on) (NP (NN it)))))")
    there = Phrases.of(read("(S (NP (DT the) (NN cat)) (VP (VBZ sat) (ADVP (IN on) (NN it))))"))
    found, _ = Phrases.of(said).tree(said.leaves)
    wrong, missed = mistakes(found, there)
    assert [found.labels[node] for node in np.flatnonzero(wrong)] == ["VBD", "PP", "NP"]
    assert missed == 1


# task=parsing


def treebank(folder, count=40):
    """A folder of small trees, some of one word and some of two."""
    folder.mkdir()
    text = [SENTENCES[at % len(SENTENCES)].replace("NN a", f"NN a{at}") for at in range(count)]
    (folder / "some.mrg").write_text("\n".join(text))
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parsing")
    status, out, err = call(
        "train", "task=parsing", "net=parser", "topology=bichain", f"run={folder / 'run'}",
        f"task.root={treebank(folder / 'trees')}", "trainer.max_epochs=2", *SMALL,
    )  # fmt: skip
    assert status == 0, err
    assert "right-branching" in out and "unlabelled f1" in out
    return folder / "run"


@pytest.mark.slow
def test_sentences_are_parsed(trained, tmp_path):
    status, out, err = call("predict", f"run={trained}", "text=A dog (or so).", "text=Hello")
    assert status == 0, err
    assert " -LRB-)" in out.splitlines()[0] and out.splitlines()[-1].endswith("Hello")
    (tmp_path / "some.txt").write_text("The dog ran .\n\nIt rains .\n")
    out = call("predict", f"run={trained}", f"path={tmp_path / 'some.txt'}").out
    assert [line.split(" ")[0] for line in out.splitlines()] == [
        f"{tmp_path}/some.txt:1:", f"{tmp_path}/some.txt:3:",
    ]  # fmt: skip
    (tmp_path / "some.mrg").write_text(f"{SENTENCES[0]}\n(NN b)\n( (FOO (NN b) (BAR c)))")
    status, out, err = call("predict", f"run={trained}", f"path={tmp_path / 'some.mrg'}", "--json")
    assert status == 0, err
    first, second, third = json.loads(out)
    assert first["leaves"] == TREES[0].leaves and second["leaves"] == ["b"]
    # What is found is compared with the trees of the file.
    assert all("wrong" in node for node in first["nodes"] + third["nodes"])
    assert [node["wrong"] for node in third["nodes"] if node.get("word") == "c"] == [True]
    tree = read(first["tree"])
    assert tree.leaves == first["leaves"] and first["nodes"][0]["parent"] == -1


@pytest.mark.slow
def test_a_found_tree_is_drawn_with_what_is_wrong(trained, tmp_path):
    path = tmp_path / "tree.svg"
    assert call("draw", f"run={trained}", "sample=1", f"out={path}").status == 0
    assert "<svg" in path.read_text()
    run = opened(trained)
    net = run.load_net()
    samples = run.task.keep(run.task.load(run.topology))["test"]
    with torch.inference_mode():
        answers: Any = run.task.answer(net, sn.collate(samples, run.topology))
    for sample, answer in zip(samples, answers, strict=True):
        shown = answer.drawing
        there = Phrases.of(sample.origin)
        wrong, missed = mistakes(shown.tree, there)
        assert shown.missed == missed and (shown.wrong == wrong).all()
        assert answer.text == str(shown.text()).split("\n")[0]


@pytest.mark.slow
def test_mistakes_are_named_in_one_line(trained, tmp_path):
    assert "'' has no words" in refused("predict", f"run={trained}", "text=")
    for tree in ("(S (NP (DT The) (NN dog)) (VP (VBZ barks)))", "( ( The dog ) barks )"):
        assert "is a tree in brackets" in refused("predict", f"run={trained}", f"text={tree}")
    (tmp_path / "empty.txt").write_text("\n\n")
    assert "has no sentences" in refused("predict", f"run={trained}", f"path={tmp_path}/empty.txt")
    train = ("train", "task=parsing", f"task.root={tmp_path}/trees", *SMALL)
    assert "take a topology of" in refused(*train, "net=parser", "topology=tree")
    treebank(tmp_path / "trees")
    assert "'parser'" in refused(*train, "topology=chain")
    net = (*train, "net=parser", "topology=chain")
    assert "readout=every" in refused(*net, "readout=mean")
    assert "'beam' is at least 1" in refused(*net, "net.beam=0")
    for option in ("num_layers=2", "dropout=0.1"):
        layers = refused(*net, "net.context=false", f"net.{option}")
        assert f"net.{option} is of recurrent layers, and net.context=false has none" in layers
    assert "task=parsing" in refused("train", "task=copy", "net=parser", "topology=chain")
    for text, expected in {
        "(S ( (NN a) (NN b)))": "a label is missing",
        "(S+X (NN a) (NN b))": "rename it",
        "(NN a)": "two words",
    }.items():
        (tmp_path / "trees" / "some.mrg").write_text("\n".join([text] * 9 + ["(NN c) (NN d)"]))
        assert expected in refused(*net)
    (tmp_path / "a.conllu").write_text("1\ta\ta\tX\tX\t_\t0\troot\t_\t_\n")
    assert "take task=trees" in refused(*net, f"task.root={tmp_path}/a.conllu")
