"""Sums and maxima over the labellings of chains, and of trees read from the leaves up.

A labelling's score is the sum of those of every node's class, and of the pairs of classes of a node
and of the one that reads it.

N: nodes, C: classes, T: trees. Tensors over nodes are in the order of a plan's ranks.
"""

from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from structnet.topology.plan import Plan

LOWEST = -torch.inf


class Potentials(NamedTuple):
    """The scores that add up to that of a labelling; -inf for what must not be.

    Arguments:
        own: of a node's class (N, C).
        follow: of the class of a node and that of the node that reads it (C, C).
        first: of the class of a node that reads no other (C,).
        last: of the class of a node that no other reads (C,).
    """

    own: Tensor
    follow: Tensor
    first: Tensor
    last: Tensor


class Level(NamedTuple):
    """Nodes whose predecessors are in levels before.

    Arguments:
        nodes: their ranks.
        joins: for the first predecessor of each node, for the second, and so on: the ranks of the
            predecessors (k,) and of the nodes that read them (k,).
    """

    nodes: slice
    joins: tuple[tuple[Tensor, Tensor], ...]


class Forest(NamedTuple):
    """The nodes of a plan, of which each is read by one other at most.

    Arguments:
        levels: from the leaves up.
        roots: the ranks of the nodes that no other reads (T,).
        tree: the index of each node's root in `roots` (N,).
        leaves: the ranks of the nodes that read no other.
        child, parent: the ranks of both nodes of every edge (E,).
    """

    levels: tuple[Level, ...]
    roots: Tensor
    tree: Tensor
    leaves: Tensor
    child: Tensor
    parent: Tensor

    @classmethod
    def of(cls, plan: Plan) -> "Forest":
        """ValueError if a node is read by several others."""
        rank = torch.arange(plan.num_nodes, device=plan.rows.device)
        before = plan.rows - plan.first_row
        inner = before >= 0
        child, parent = before[inner], plan.readers[inner]
        reads = torch.bincount(child, minlength=plan.num_nodes)
        if (reads > 1).any():
            node = int(plan.order[reads > 1].min())
            raise ValueError(
                f"node {node} of the batch is read by several others, and classes that depend on "
                "each other need chains, or trees read from the leaves up: take head=softmax, or "
                "another topology"
            )
        up = rank.scatter(0, child, parent)
        for _ in range((len(plan.levels) - 1).bit_length()):
            up = up[up]
        # In the order of the nodes.
        roots = plan.rank[plan.sinks]
        tree = torch.zeros_like(rank).scatter(
            0, roots, torch.arange(len(roots), device=rank.device)
        )
        leaves = rank[torch.bincount(parent, minlength=plan.num_nodes) == 0]
        return cls(_levels(plan, child, parent), roots, tree[up], leaves, child, parent)


def _levels(plan: Plan, child: Tensor, parent: Tensor) -> tuple[Level, ...]:
    # The edges are in the order of the ranks of those that read.
    first = torch.searchsorted(parent, parent)
    slot = torch.arange(len(parent), device=parent.device) - first
    bounds = torch.tensor(plan.levels, device=parent.device)
    edges = torch.searchsorted(parent, bounds).tolist()
    levels = []
    for nodes, (start, stop) in zip(pairwise(plan.levels), pairwise(edges), strict=True):
        slots = slot[start:stop]
        most = int(slots.max()) + 1 if stop > start else 0
        ends = child[start:stop], parent[start:stop]
        each = (tuple(end[slots == one] for end in ends) for one in range(most))
        joins = (ends,) if most == 1 else tuple((a, b) for a, b in each)
        levels.append(Level(slice(*nodes), joins))
    return tuple(levels)


class Inside(NamedTuple):
    """Sums over the labellings of the nodes below, their logarithms.

    Arguments:
        below: for a node and its class (N, C), up to a constant per node.
        message: of what a node sends to the node that reads it, for the other's class (N, C).
        total: over all labellings of a tree (T,).
    """

    below: Tensor
    message: Tensor
    total: Tensor


def inside(given: Potentials, forest: Forest) -> Inside:
    """The sum-product algorithm, level by level from the leaves up (Pearl 1988)."""
    follow, last = given.follow, given.last
    own = _with_first(given, forest)
    below, message = torch.empty_like(own), torch.empty_like(own)
    # What was taken off a node and the nodes below it, so that sums keep their precision.
    scale = own.new_zeros(len(own))
    turned = follow.t()
    for nodes, joins in forest.levels:
        sums = own[nodes].clone()
        taken = own.new_zeros(len(sums))
        for child, parent in joins:
            sent = (below[child, None] + turned).logsumexp(2)
            message[child] = sent
            sums.index_add_(0, parent - nodes.start, sent)
            taken.index_add_(0, parent - nodes.start, scale[child])
        most = _largest(sums)
        below[nodes] = sums - most
        scale[nodes] = taken + most[:, 0]
    total = (below[forest.roots] + last).logsumexp(1) + scale[forest.roots]
    return Inside(below, message, total)


def outside(given: Potentials, forest: Forest, found: Inside, weight: Tensor) -> Potentials:
    """The expected counts of classes and of pairs of them, every tree times its weight (T,).

    They are the gradient of the trees' totals by the potentials.
    """
    follow, last = given.follow, given.last
    below, message = found.below, found.message
    above = torch.empty_like(below)
    above[forest.roots] = last
    pairs = torch.zeros_like(follow)
    for _, joins in reversed(forest.levels):
        for child, parent in joins:
            sent = message[child]
            # All that enters the node that reads, but for what this one sends.
            rest = (below[parent] - sent).masked_fill(sent == LOWEST, LOWEST) + above[parent]
            reached = (rest[:, None] + follow).logsumexp(2)
            above[child] = reached - _largest(reached)
            both = (below[child, :, None] + rest[:, None] + follow).flatten(1).softmax(1)
            both = both.nan_to_num() * weight[forest.tree[child], None]
            pairs += both.sum(0).view_as(pairs)
    share = (below + above).softmax(1).nan_to_num() * weight[forest.tree, None]
    return Potentials(share, pairs, share[forest.leaves].sum(0), share[forest.roots].sum(0))


def _with_first(given: Potentials, forest: Forest) -> Tensor:
    """`own`, with `first` added where a node reads no other."""
    return given.own.index_add(0, forest.leaves, given.first.expand(len(forest.leaves), -1))


def _largest(scores: Tensor) -> Tensor:
    """The largest of each row (n, 1), 0 where all are -inf: no labelling may be allowed at all."""
    most = scores.amax(1, keepdim=True)
    return most.where(most > LOWEST, 0)


class LogPartition(torch.autograd.Function):
    """The logarithm of the sum over all labellings of every tree (T,)."""

    @staticmethod
    def forward(
        ctx: Any, own: Tensor, follow: Tensor, first: Tensor, last: Tensor, forest: Forest
    ) -> Tensor:
        given = Potentials(own, follow, first, last)
        found = inside(given, forest)
        ctx.save_for_backward(*given, *found)
        ctx.forest = forest
        return found.total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, weight: Tensor) -> tuple[Any, ...]:  # pyright: ignore
        own, follow, first, last, *found = ctx.saved_tensors
        given = Potentials(own, follow, first, last)
        return *outside(given, ctx.forest, Inside(*found), weight), None


def log_partition(given: Potentials, forest: Forest) -> Tensor:
    """The logarithm of the sum over all labellings of every tree (T,), with gradients."""
    total: Any = LogPartition.apply(*given, forest)
    return total


def score(given: Potentials, forest: Forest, labels: Tensor) -> Tensor:
    """The score of a labelling (N,) of every tree (T,)."""
    own, follow, first, last = given
    total = own.new_zeros(len(forest.roots))
    total = total.index_add(0, forest.tree, own.gather(1, labels[:, None])[:, 0])
    pairs = follow[labels[forest.child], labels[forest.parent]]
    total = total.index_add(0, forest.tree[forest.child], pairs)
    total = total.index_add(0, forest.tree[forest.leaves], first[labels[forest.leaves]])
    return total + last[labels[forest.roots]]


def best_labellings(given: Potentials, forest: Forest, k: int) -> tuple[Tensor, Tensor]:
    """The k labellings of the highest score of every tree, the best first.

    The labels are (k, N), the scores (k, T); scores are -inf where there are fewer labellings. The
    Viterbi algorithm with k entries per class (Schwartz and Chow 1990), on trees.
    """
    follow, last = given.follow, given.last
    own = _with_first(given, forest)
    nodes, classes = own.shape
    below = own.new_full((nodes, classes, k), LOWEST)
    # For a class and a place in the list of the node that reads: the entry of this node's list,
    # and the places in both lists that were joined, of the other's list before and of this one.
    entry = torch.zeros(nodes, classes, k, dtype=torch.long, device=own.device)
    joined = torch.zeros_like(entry)
    for level, joins in forest.levels:
        below[level, :, 0] = own[level]
        for child, parent in joins:
            sent = below[child, None] + follow.t()[None, :, :, None]
            sent, entry[child] = sent.flatten(2).topk(k, 2)
            sums = below[parent, :, :, None] + sent[:, :, None]
            below[parent], joined[child] = sums.flatten(2).topk(k, 2)
    ends = (below[forest.roots] + last[:, None]).flatten(1)
    scores, at = ends.topk(k, 1)
    labels = torch.zeros(nodes, k, dtype=torch.long, device=own.device)
    places = torch.zeros_like(labels)
    labels[forest.roots], places[forest.roots] = at // k, at % k
    for _, joins in reversed(forest.levels):
        for child, parent in reversed(joins):
            of = labels[parent]
            both = joined[child].gather(2, places[parent][:, None].expand(-1, classes, -1))
            both = both.gather(1, of[:, None])[:, 0]
            places[parent] = both // k
            back = entry[child].gather(2, (both % k)[:, None].expand(-1, classes, -1))
            back = back.gather(1, of[:, None])[:, 0]
            labels[child], places[child] = back // k, back % k
    return labels.t(), scores.t()
