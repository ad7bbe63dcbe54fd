"""The conditional random field against enumeration of all labellings, on chains and trees."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

import structnet as sn
from structnet.config.composing import compose
from structnet.run.run import Run

CLASSES = 3
# A chain, and trees: the parent of every node, -1 for the root.
PARENTS = {
    "chain": [1, 2, 3, -1],
    "single": [-1],
    "binary": [2, 2, 4, 4, -1],
    "star": [4, 4, 4, 4, -1],
    "deep": [3, 3, 5, 4, 5, -1],
}
KINDS = list(PARENTS)


def plan_of(*kinds):
    """The plan of trees side by side, read from the leaves up."""
    return sn.topologies.create("tree", arity=4).plan([children(PARENTS[kind]) for kind in kinds])


def children(parents):
    """The child table (n, 4) of a tree."""
    table = np.full((len(parents), 4), -1)
    for node, parent in enumerate(parents):
        if parent >= 0:
            table[parent, (table[parent] >= 0).sum()] = node
    return table


def parents_of(kinds):
    parents, start = [], 0
    for kind in kinds:
        parents += [-1 if p < 0 else p + start for p in PARENTS[kind]]
        start += len(PARENTS[kind])
    return parents


class Case:
    """A field over trees of some kinds, with the scores of all labellings, by enumeration."""

    def __init__(self, *kinds, scale=1.0, forbidden=False):
        self.kinds, self.parents = kinds, parents_of(kinds)
        nodes = len(self.parents)
        torch.manual_seed(len(kinds))
        allowed = None
        if forbidden:
            follow = np.array([[1, 1, 0], [1, 0, 1], [1, 1, 1]], bool)
            allowed = sn.Transitions(follow, np.array([1, 1, 0], bool), np.array([0, 1, 1], bool))
        sizes = sn.Sizes(None, 5, CLASSES, transitions=allowed)
        self.head = sn.heads.create("crf", 5, sizes).double()
        for parameter in self.head.parameters():
            torch.nn.init.normal_(parameter, std=scale)
        self.h = torch.randn(nodes, 5, dtype=torch.double, requires_grad=True)
        none = torch.zeros(len(kinds), dtype=torch.long)
        ptr = torch.tensor([0, *np.cumsum([len(PARENTS[kind]) for kind in kinds])])
        self.batch = sn.Batch(self.h, plan_of(*kinds), ptr, none, none)
        self.scores = self.head.score(self.h, self.batch)
        allow = (lambda name: torch.ones(())) if allowed is None else self._allow
        low = {name: allow(name).log().double() for name in ("follow", "first", "last")}
        self.follow, self.first, self.last = (getattr(self.head, n) + low[n] for n in low)
        self.parts = ptr.diff().tolist()

    def _allow(self, name):
        return getattr(self.head, f"{name}_allowed").double()

    def labellings(self, tree):
        """All labellings of a tree, and the score of each."""
        start = sum(self.parts[:tree])
        parents = [p - start for p in self.parents[start : start + self.parts[tree]]]
        own = self.head.own(self.h)[start : start + len(parents)]
        found = list(product(range(CLASSES), repeat=len(parents)))
        scores = []
        for labels in found:
            score = own[range(len(parents)), labels].sum()
            for node, parent in enumerate(parents):
                if node not in parents:
                    score = score + self.first[labels[node]]
                other = self.last if parent < 0 else self.follow[:, labels[parent]]
                score = score + other[labels[node]]
            scores.append(score)
        return torch.tensor(found), torch.stack(scores)


CASES = [(kind,) for kind in KINDS] + [("binary", "single", "chain", "star"), ("deep", "chain")]


@pytest.mark.parametrize("forbidden", [False, True])
@pytest.mark.parametrize("kinds", CASES)
def test_sums_marginals_and_the_best_are_those_of_all_labellings(kinds, forbidden):
    case = Case(*kinds, forbidden=forbidden)
    logs = case.scores.log_probs().split(case.parts)
    labels, log_probs = case.scores.k_best(4)
    best = case.scores.best()
    for tree in range(len(kinds)):
        found, scores = case.labellings(tree)
        torch.testing.assert_close(case.scores.log_partition[tree], scores.logsumexp(0))
        shares = scores.softmax(0)
        for node in range(case.parts[tree]):
            marginal = shares.new_zeros(CLASSES).index_add(0, found[:, node], shares)
            torch.testing.assert_close(logs[tree][node].exp(), marginal)
        order = shares.argsort(descending=True)
        mine = labels.split(case.parts, 1)[tree]
        for place in range(min(4, int((scores > -torch.inf).sum()))):
            assert mine[place].tolist() == found[order[place]].tolist()
            torch.testing.assert_close(log_probs[place, tree], shares[order[place]].log())
        assert (log_probs[int((scores > -torch.inf).sum()) :, tree] == -torch.inf).all()
    assert best.tolist() == labels[0].tolist()


@pytest.mark.parametrize("kinds", CASES)
@pytest.mark.parametrize("unknown", [0.0, 0.5, 1.0])
def test_the_loss_and_its_gradients_are_those_of_all_labellings(kinds, unknown):
    case = Case(*kinds, forbidden=True)
    y = case.scores.best().clone()
    drawn = torch.rand(len(y), generator=torch.Generator().manual_seed(1)) < unknown
    y[drawn] = sn.IGNORE
    total = torch.zeros((), dtype=torch.double)
    for tree in range(len(kinds)):
        found, scores = case.labellings(tree)
        mine = y.split(case.parts)[tree]
        fits = ((found == mine) | (mine == sn.IGNORE)).all(1)
        total = total + scores.logsumexp(0) - scores[fits].logsumexp(0)
    each = case.scores.cross_entropy(y)
    assert (each[y == sn.IGNORE] == 0).all()
    likelihood = -case.scores.log_likelihood(y).sum()
    torch.testing.assert_close(likelihood, total)
    known = [(part != sn.IGNORE).any() for part in y.split(case.parts)]
    if all(known):
        torch.testing.assert_close(each.sum(), total)
    weights = [case.h, *case.head.parameters()]
    # Trees of one node have no pairs.
    wanted = torch.autograd.grad(total, weights, allow_unused=True)
    got = torch.autograd.grad(likelihood, weights)
    for mine, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(mine, torch.zeros_like(mine) if other is None else other)


def test_gradients_pass_gradcheck_also_of_trees_that_weigh_differently():
    plan = plan_of("binary", "chain")[0]
    from structnet.nn.forest import Forest, LogPartition

    forest = Forest.of(plan)
    torch.manual_seed(0)
    shapes = [(plan.num_nodes, 3), (3, 3), (3,), (3,)]
    given = [torch.randn(*shape, dtype=torch.double, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(
        lambda *potentials: LogPartition.apply(*potentials, forest), given
    )


@pytest.mark.parametrize("scale", [30.0, 1000.0])
def test_large_scores_lose_nothing(scale):
    case = Case("chain", "deep", scale=scale)
    assert torch.isfinite(case.scores.log_partition).all()
    for tree in range(2):
        _, scores = case.labellings(tree)
        torch.testing.assert_close(case.scores.log_partition[tree], scores.logsumexp(0))
    case.scores.log_partition.sum().backward()
    assert case.h.grad is not None and torch.isfinite(case.h.grad).all()


def test_a_chain_is_a_tree_with_one_branch():
    sizes = sn.Sizes(None, 4, CLASSES)
    head = sn.heads.create("crf", 4, sizes).double()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    h = torch.randn(9, 4, dtype=torch.double)
    none, ptr = torch.zeros(2, dtype=torch.long), torch.tensor([0, 4, 9])
    of_chains = sn.topologies.create("chain").plan([4, 5])
    of_trees = sn.topologies.create("tree", arity=4).plan(
        [children([1, 2, 3, -1]), children([1, 2, 3, 4, -1])]
    )
    y = torch.randint(CLASSES, (9,))
    one, other = (
        head.score(h, sn.Batch(h, plans, ptr, none, none)) for plans in (of_chains, of_trees)
    )
    torch.testing.assert_close(one.cross_entropy(y), other.cross_entropy(y))
    torch.testing.assert_close(one.log_probs(), other.log_probs())
    assert one.k_best(3)[0].tolist() == other.k_best(3)[0].tolist()


def test_what_can_not_be_is_refused():
    case = Case("chain", "binary", forbidden=True)
    y = case.scores.best().clone()
    # The root's class is none of those that may be last.
    y[-1] = 0
    with pytest.raises(ValueError, match="sample 1 of the batch must not follow"):
        case.scores.cross_entropy(y)
    with pytest.raises(ValueError, match="2 rows for 9 nodes: take readout=every"):
        case.head.score(case.h[:2], case.batch)
    with pytest.raises(ValueError, match="k is at least 1"):
        case.scores.k_best(0)
    with pytest.raises(TypeError, match="depend on each other"):
        case.scores[:2]
    graph = sn.topologies.create("graph")
    index = np.array([[0, 0], [1, 2]])
    with pytest.raises(ValueError, match="node 0 of the batch is read by several"):
        case.head.score(
            torch.zeros(3, 5, dtype=torch.double),
            sn.Batch(None, graph.plan([sn.Edges(index, 3)]), torch.tensor([0, 3]), y[:1], y[:1]),
        )
    with pytest.raises(ValueError, match="follow is an array of booleans of shape"):
        sn.Transitions(np.ones((2, 3), bool), np.ones(2, bool), np.ones(2, bool))


class Tagged(sn.Task):
    """The class of each number, of which 2 never follows 1, and 1 is hard to see."""

    structures = ("sequence",)
    input_size = 2
    classes = ("a", "b", "c")

    def __init__(self):
        follow = np.ones((3, 3), bool)
        follow[1, 2] = False
        self.transitions = sn.Transitions(follow, np.ones(3, bool), np.ones(3, bool))

    def scores_nodes(self, topology):
        return True

    def load(self, topology):
        return {}


def test_a_task_trains_and_measures_with_joint_scores():
    task = Tagged()
    sizes = sn.Sizes(None, 2, 3, transitions=task.transitions)
    torch.manual_seed(0)
    net = sn.nets.create("stack", sizes, "bichain", "gru", "every", "crf", hidden_size=4)
    samples = [sn.Sample(n, np.random.rand(n, 2).astype("f4"), np.arange(n) % 2) for n in (1, 4)]
    batch = sn.collate(samples, sn.topologies.create("bichain"))
    output = net(batch)
    assert output.joint
    loss = task.loss(output, batch)
    torch.testing.assert_close(loss, -output.log_likelihood(batch.y).sum() / 5)
    loss.backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    best = output.best()
    assert not ((best[:-1] == 1) & (best[1:] == 2))[1:].any()
    measured = task.measured(best, batch)["accuracy"]
    assert [one.tolist() for one in measured] == [best.tolist(), batch.y.tolist()]
    chain = sn.nets.create("stack", sizes, "chain", "gru", "every", "crf", hidden_size=4)
    with pytest.raises(ValueError, match="scores the steps of a sample together"):
        chain.stepper()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("task=listops", "topology=tree"), "task 'listops' with readout 'root' has not one class"),
        (("task=river", "topology=tree"), "task 'river' with readout 'every' has not one class"),
        (("task=copy", "net=seq2seq", "topology=bichain"), "'seq2seq' writes token by token"),
        (("task=parsing", "net=parser", "topology=chain"), "'parser' makes nodes of its own"),
    ],
)
def test_tasks_and_nets_that_cant_take_it_are_refused_before_their_data_is_read(
    monkeypatch, words, message
):
    run = Run.compose(compose([*words, "head=crf"]), Path())
    # Its data need not be on this machine.
    monkeypatch.setattr(type(run.task), "find", lambda task: None)
    with pytest.raises(ValueError, match=message):
        run.check()
