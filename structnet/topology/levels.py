"""The level of every node: the length of the longest path to it.

Edges lead from `source` to `target`, two arrays. Chains and trees take about log2(depth) rounds
over all nodes, other DAGs one round per level, over the edges of that level only.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.integer]


class Cycle(ValueError):
    """A cycle of `nodes`: each is a predecessor of the next, and the last of the first."""

    def __init__(self, nodes: list[int]):
        super().__init__(f"cycle {nodes}")
        self.nodes = nodes


def node_levels(source: Ints, target: Ints, num_nodes: int) -> Ints:
    """The levels (num_nodes,); raises Cycle if there is one."""
    if not source.size:
        return np.zeros(num_nodes, np.int64)
    if np.bincount(target, minlength=num_nodes).max() <= 1:
        level = _depth(source, target, num_nodes)
    elif np.bincount(source, minlength=num_nodes).max() <= 1:
        level = _height(source, target, num_nodes)
    else:
        return _by_frontier(source, target, num_nodes)
    # Doubling only detects a cycle, the frontier finds it.
    return _by_frontier(source, target, num_nodes) if level is None else level


def stable_order(keys: Ints) -> Ints:
    """A stable argsort of integers that are not negative, in linear time.

    A radix sort by 16 bits at a time, the lowest first, as NumPy has one for integers of 16 bits.
    """
    order = np.argsort(keys.astype(np.uint16), kind="stable")
    for shift in range(16, int(keys.max(initial=0)).bit_length(), 16):
        digits = (keys >> shift).astype(np.uint16)
        order = order[np.argsort(digits[order], kind="stable")]
    return order


def _jumps(start: Ints, end: Ints, num_nodes: int) -> Ints:
    """The one neighbour of every node, or `num_nodes`, which is its own neighbour."""
    jump = np.full(num_nodes + 1, num_nodes)
    jump[start] = end
    return jump


def _depth(source: Ints, target: Ints, num_nodes: int) -> Ints | None:
    """The distance from the node without predecessor, if each has one at most; None on a cycle.

    Before round j, `level` counts the first 2^j steps back, and `jump` is the node 2^j steps back.
    """
    jump = _jumps(target, source, num_nodes)
    level = (jump < num_nodes).astype(np.int64)
    for _ in range(num_nodes.bit_length() + 1):
        if (jump == num_nodes).all():
            return level[:-1]
        level += level[jump]
        jump = jump[jump]
    return None


def _height(source: Ints, target: Ints, num_nodes: int) -> Ints | None:
    """The distance from the farthest ancestor, in a forest; None on a cycle.

    Before round j, `level` is the largest distance below 2^j, and `jump` is the node 2^j steps
    ahead, through which longer paths lead.
    """
    jump = _jumps(source, target, num_nodes)
    level = np.zeros(num_nodes + 1, np.int64)
    reach = 1
    for _ in range(num_nodes.bit_length() + 1):
        start = np.flatnonzero(jump < num_nodes)
        if not start.size:
            return level[:-1]
        farther = level[start] + reach
        np.maximum.at(level, jump[start], farther)
        jump = jump[jump]
        reach *= 2
    return None


def _by_frontier(source: Ints, target: Ints, num_nodes: int) -> Ints:
    """Kahn's algorithm, frontier by frontier."""
    successor = target[stable_order(source)]
    count = np.bincount(source, minlength=num_nodes)
    start = np.cumsum(count) - count
    waiting = np.bincount(target, minlength=num_nodes)
    level = np.zeros(num_nodes, np.int64)
    last_place = np.empty(num_nodes, np.int64)
    frontier = np.flatnonzero(waiting == 0)
    depth = done = 0
    while frontier.size:
        level[frontier] = depth
        done += frontier.size
        fed = successor[ranges(start[frontier], count[frontier])]
        np.subtract.at(waiting, fed, 1)
        ready = fed[waiting[fed] == 0]
        # A node with several predecessors in the frontier counts once.
        place = np.arange(ready.size)
        last_place[ready] = place
        frontier = ready[last_place[ready] == place]
        depth += 1
    if done < num_nodes:
        raise Cycle(_find_cycle(source, target, waiting > 0))
    return level


def ptr_of(count: ArrayLike) -> NDArray[np.int64]:
    """The offsets (n + 1,) of groups of these sizes (n,): group b owns ptr[b]:ptr[b + 1]."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(count, dtype=np.int64)])


def ranges(start: Ints, count: Ints) -> Ints:
    """The ranges start[i], ..., start[i] + count[i] - 1, concatenated."""
    end = np.cumsum(count)
    return np.arange(count.sum()) + np.repeat(start - end + count, count)


def _find_cycle(source: Ints, target: Ints, stuck: NDArray[np.bool_]) -> list[int]:
    """Walk back among the nodes that never became ready, as each has such a predecessor."""
    inside = stuck[source] & stuck[target]
    before = dict(zip(target[inside].tolist(), source[inside].tolist(), strict=True))
    seen: dict[int, int] = {}
    node = next(iter(before))
    while node not in seen:
        seen[node] = len(seen)
        node = before[node]
    walked = list(seen)[seen[node] :]
    return walked[::-1]
