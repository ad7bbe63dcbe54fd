"""The level of every node: the length of the longest path that leads to it.

Edges are two arrays, `source` feeds `target`. Chains and trees take about log2(depth) rounds over
all nodes; any other DAG one round a level, over that level's edges only.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.integer]


class Cycle(ValueError):
    """A cycle; `nodes` spells it out, each node feeding the next and the last the first."""

    def __init__(self, nodes: list[int]):
        super().__init__(f"cycle {nodes}")
        self.nodes = nodes


def node_levels(source: Ints, target: Ints, num_nodes: int) -> Ints:
    """Levels (num_nodes,); Cycle if there is one."""
    if not source.size:
        return np.zeros(num_nodes, np.int64)
    if np.bincount(target, minlength=num_nodes).max() <= 1:
        level = _depth(source, target, num_nodes)
    elif np.bincount(source, minlength=num_nodes).max() <= 1:
        level = _height(source, target, num_nodes)
    else:
        return _by_frontier(source, target, num_nodes)
    # The doubling rounds only notice that a cycle is there; the frontier finds it.
    return _by_frontier(source, target, num_nodes) if level is None else level


def stable_order(keys: Ints) -> Ints:
    """The stable argsort of integers from 0 on, in linear time: a radix sort.

    Numpy has one for integers of 16 bits, so keys are sorted 16 bits at a time, the lowest first.
    """
    order = np.argsort(keys.astype(np.uint16), kind="stable")
    for shift in range(16, int(keys.max(initial=0)).bit_length(), 16):
        digits = (keys >> shift).astype(np.uint16)
        order = order[np.argsort(digits[order], kind="stable")]
    return order


def _jumps(start: Ints, end: Ints, num_nodes: int) -> Ints:
    """The one neighbour of every node, `num_nodes` (its own neighbour) where there is none."""
    jump = np.full(num_nodes + 1, num_nodes)
    jump[start] = end
    return jump


def _depth(source: Ints, target: Ints, num_nodes: int) -> Ints | None:
    """Steps back to a node without predecessor; None on a cycle.

    Before round j, `level` counts the steps among the first 2^j and `jump` is 2^j steps back.
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
    """Steps to the farthest node that leads here, in a forest; None on a cycle.

    Before round j, `level` is the largest distance below 2^j and `jump` is 2^j steps ahead: a node
    that is farther is reached through the one node at distance 2^j on its way.
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
    """Kahn's algorithm, a whole frontier at a time."""
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
        # A node fed by several of the frontier's nodes counts once.
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
    """start[0], start[0] + 1, ... for count[0] places, then the same from start[1], ..."""
    end = np.cumsum(count)
    return np.arange(count.sum()) + np.repeat(start - end + count, count)


def _find_cycle(source: Ints, target: Ints, stuck: NDArray[np.bool_]) -> list[int]:
    """Walk back among the nodes that never became ready: each has such a predecessor."""
    inside = stuck[source] & stuck[target]
    before = dict(zip(target[inside].tolist(), source[inside].tolist(), strict=True))
    seen: dict[int, int] = {}
    node = next(iter(before))
    while node not in seen:
        seen[node] = len(seen)
        node = before[node]
    walked = list(seen)[seen[node] :]
    return walked[::-1]
