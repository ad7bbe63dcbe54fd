"""The search for the best tree: the pairs that score best are merged, several trees at a time.

G: trees that are searched for, H: partial trees, E: candidates, pairs that may be merged next.
"""

from typing import NamedTuple

import numpy as np

from structnet.plugins.tree.parsing.nodes import Nodes, refuse_large

Ints = np.ndarray
# The bytes of a candidate, while the next ones are made of it.
CANDIDATE = 200


class Wanted(NamedTuple):
    """The trees that are searched for; several may be of the same sample.

    Arguments:
        sample: the sample of each (G,).
        margin: what each adds to the score of a node that crosses a bracket (G,): 0 for the best
            tree, a positive number for the best one with errors, -inf for the best right one.
    """

    sample: Ints
    margin: Ints


class _Beams(NamedTuple):
    """Partial trees and their candidates; both are sorted by what is before them.

    Arguments:
        tree: the tree that a partial one is of (H,).
        total: its score (H,).
        key: equal for partial trees of the same nodes (H,).
        made: its nodes, in the order they were made (H, steps).
        owner: the partial tree that a candidate is of (E,).
        left, right, node: the nodes of a candidate, and the one that it makes (E,).
    """

    tree: Ints
    total: Ints
    key: Ints
    made: Ints
    owner: Ints
    left: Ints
    right: Ints
    node: Ints


def search(nodes: Nodes, edges: Ints, wanted: Wanted, beam: int = 1) -> list[Ints]:
    """The best tree that is found of each one wanted: its merges, each after those it is made of.

    In every step each partial tree is extended by each of its candidates, and those with the
    highest sums of scores are kept; with one kept, the pair that scores best is merged (Socher et
    al. 2011). All samples take a step at a time, and what is new after it is computed
    in one call. Leaves that nothing connects are left in several trees.

    Arguments:
        nodes: the leaves.
        edges: pairs of leaves (2, E) that are next to each other, each pair once.
        wanted: the trees.
        beam: how many partial trees of each are kept.
    """
    draw = np.random.default_rng(0)
    keys = _drawn(draw, 0)
    found: list[Ints] = [np.zeros(0, np.int64)] * len(wanted.sample)
    beams = _start(nodes, edges, wanted, _drawn(draw, len(wanted.sample)))
    while len(beams.owner):
        tree = beams.tree[beams.owner]
        errors = np.where(nodes["wrong"][beams.node], wanted.margin[tree], 0.0)
        total = beams.total[beams.owner] + nodes["score"][beams.node] + errors
        keys = np.concatenate([keys, _drawn(draw, len(nodes) - len(keys))])
        key = beams.key[beams.owner] + keys[beams.node]
        kept = _best(tree, total, key, beam)
        beams = _extended(nodes, beams, kept, total[kept], key[kept])
        # The best of each tree comes first.
        for at in reversed(range(len(beams.tree))):
            found[beams.tree[at]] = beams.made[at]
    return found


def _drawn(draw: np.random.Generator, count: int) -> Ints:
    return draw.integers(0, 2**64 - 1, count, np.uint64, endpoint=True)


def _start(nodes: Nodes, edges: Ints, wanted: Wanted, key: Ints) -> _Beams:
    """The leaves by themselves."""
    of = nodes["sample"][edges[0]]
    order = np.argsort(of, kind="stable")
    count = np.bincount(of, minlength=int(wanted.sample.max(initial=-1)) + 1)
    owner, at = _gathered(count, wanted.sample)
    left, right = np.sort(edges, axis=0)[:, order[at]]
    trees = np.arange(len(wanted.sample))
    made = np.zeros((len(trees), 0), np.int64)
    node = nodes.merge(left, right)
    return _Beams(trees, np.zeros(len(trees)), key, made, owner, left, right, node)


def leading(group: Ints, value: Ints, most: int) -> tuple[Ints, Ints]:
    """The rows with the largest values of each group, group by group, and their ranks in it.

    Rows of value -inf are left out.
    """
    order = np.lexsort((-value, group))
    order = order[value[order] > -np.inf]
    count = np.bincount(group[order])
    rank = np.arange(len(order)) - np.repeat(np.cumsum(count) - count, count)
    return order[rank < most], rank[rank < most]


def _best(tree: Ints, total: Ints, key: Ints, beam: int) -> Ints:
    """The best candidates of each tree, those of a tree together and the best one first.

    Of candidates that make the same partial tree in another order, one counts.
    """
    if beam == 1:
        return leading(tree, total, 1)[0]
    some = np.unique(key, return_index=True)[1]
    return some[leading(tree[some], total[some], beam)[0]]


def _extended(nodes: Nodes, beams: _Beams, kept: Ints, total: Ints, key: Ints) -> _Beams:
    """The partial trees of candidates that are kept: in place of a pair there is its parent."""
    above, count = beams.owner[kept], np.bincount(beams.owner, minlength=len(beams.tree))
    rows = int(count[above].sum())
    refuse_large("candidates", rows, CANDIDATE * rows)
    made = np.concatenate([beams.made[above], beams.node[kept, None]], axis=1)
    owner, at = _gathered(count, above)
    ends = np.stack([beams.left[at], beams.right[at]])
    pair = np.stack([beams.left[kept], beams.right[kept]])[:, owner]
    is_new = (ends == pair[0]) | (ends == pair[1])
    ends = np.where(is_new, beams.node[kept][owner], ends)
    # The left one of two nodes is that with the first leaf.
    ends = np.where(np.diff(nodes["first"][ends], axis=0) < 0, ends[::-1], ends)
    # Two nodes that are next to both of the pair are next to its parent once.
    code = (owner * len(nodes) + ends[0]) * len(nodes) + ends[1]
    some = np.unique(code, return_index=True)[1]
    some = some[ends[0, some] != ends[1, some]]
    owner, (left, right), is_new = owner[some], ends[:, some], is_new[:, some].any(axis=0)
    node = beams.node[at[some]]
    node[is_new] = nodes.merge(left[is_new], right[is_new])
    return _Beams(beams.tree[above], total, key, made, owner, left, right, node)


def _gathered(count: Ints, groups: Ints) -> tuple[Ints, Ints]:
    """The rows of groups that lie one after the other, and which of `groups` each is of.

    Arguments:
        count: the number of rows of every group that there is.
        groups: those that are wanted.
    """
    size = count[groups]
    owner = np.repeat(np.arange(len(groups)), size)
    start = (np.cumsum(count) - count)[groups]
    return owner, np.arange(len(owner)) + np.repeat(start - (np.cumsum(size) - size), size)
