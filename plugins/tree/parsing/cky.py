"""The search for the best tree over a sequence with a chart: the best nodes of every span.

G: trees that are searched for, L: leaves of the longest sample.
"""

import numpy as np

from structnet.plugins.tree.parsing.beam import Wanted, leading
from structnet.plugins.tree.parsing.nodes import Nodes, refuse_large

Ints = np.ndarray


def search_chart(nodes: Nodes, ptr: Ints, wanted: Wanted, beam: int = 1) -> list[Ints]:
    """The best tree that is found of each one wanted: its merges, each after those it is made of.

    The algorithm of Cocke, Kasami and Younger: from the shortest spans to the longest, every two
    nodes that together cover a span are merged, and the best ones are kept for it. Spans of a
    length are computed in one call. What is found is the best of all trees where no span has more
    trees than are kept; with one kept, where scores depend on spans alone.

    Arguments:
        nodes: the leaves, those of a sample in the order of its sequence.
        ptr: sample b owns the leaves `ptr[b]:ptr[b + 1]`.
        wanted: the trees.
        beam: how many nodes are kept for a span.
    """
    count = np.diff(ptr)[wanted.sample]
    longest = int(count.max(initial=0))
    places = (longest + 1) * len(count) * longest * beam
    refuse_large("places", places, 16 * places)
    # Of every length, tree and first leaf.
    chart = np.full((longest + 1, len(count), longest, beam), -1)
    total = np.full(chart.shape, -np.inf)
    tree, first = np.nonzero(np.arange(longest) < count[:, None])
    chart[1, tree, first, 0] = ptr[wanted.sample[tree]] + first
    total[1, tree, first, 0] = 0
    for length in range(2, longest + 1):
        tree, first = np.nonzero(np.arange(longest) + length <= count[:, None])
        split = np.arange(1, length)[:, None]
        at = (split, tree, first), (length - split, tree, first + split)
        pairs = split.size * len(tree) * beam**2
        refuse_large("pairs of trees", pairs, 16 * pairs)
        both = total[at[0]][..., None] + total[at[1]][..., None, :]
        cut, span, a, b = np.nonzero(both > -np.inf)
        left, right = chart[at[0]][cut, span, a], chart[at[1]][cut, span, b]
        start, node = len(nodes), nodes.merge(left, right)
        errors = np.where(nodes["wrong"][node], wanted.margin[tree[span]], 0.0)
        value = both[cut, span, a, b] + nodes["score"][node] + errors
        kept, rank = leading(span, value, beam)
        place = length, tree[span[kept]], first[span[kept]], rank
        chart[place], total[place] = nodes.keep(start, node[kept]), value[kept]
    roots = chart[count, np.arange(len(count)), 0, 0]
    return [_merges(nodes, int(root)) for root in roots]


def _merges(nodes: Nodes, root: int) -> Ints:
    """A node and those below it that are not leaves."""
    left, right, found, open_ = nodes["left"], nodes["right"], [], [root]
    while open_:
        node = open_.pop()
        if left[node] >= 0:
            found.append(node)
            open_ += [int(left[node]), int(right[node])]
    return np.array(sorted(found), np.int64)
