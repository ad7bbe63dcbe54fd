"""Level scheduling: from predecessors to a Plan."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from structnet.topology.levels import Cycle, Ints, node_levels, stable_order
from structnet.topology.naming import NodeNames, cycle_error
from structnet.topology.plan import Plan, Step, lasting


def schedule(
    predecessors: ArrayLike | torch.Tensor,
    *,
    num_nodes: int | None = None,
    num_initial: int = 0,
    ptr: ArrayLike | None = None,
    levels: Ints | None = None,
) -> Plan:
    """Plan N nodes, given their predecessors.

    ValueError, with sample and node, for a cycle, for an index that is out of range or not an
    integer, and for a level that is not above those of the node's predecessors.

    Arguments:
        predecessors: without `num_nodes`, a table (N, K) with the predecessor of every node in each
            of K ordered slots, -1 where absent. With `num_nodes`, an edge list (2, E) from
            predecessors in the first row to nodes in the second, for any number of unordered
            predecessors; an edge from -1 is ignored. N + j stands for initial state j.
        num_nodes: N, for an edge list.
        num_initial: the number of initial states.
        ptr: sample b owns the nodes `ptr[b]:ptr[b + 1]` (B + 1,); by default one sample owns all.
        levels: the level of every node (N,), if known; else they are searched for.

    >>> plan = sn.schedule([[-1], [0], [1], [-1]])  # a chain of three nodes, and one alone
    >>> plan.order.tolist(), plan.level_sizes
    ([0, 3, 1, 2], (2, 1, 1))
    >>> sn.schedule([[0, 1, 2], [2, 2, 3]], num_nodes=4).level_sizes  # edges, in place of slots
    (2, 1, 1)
    """
    names = NodeNames(ptr)
    if num_nodes is None:
        table = index_array(predecessors, names, columns=None)
        _check_range(table, -1, len(table) + num_initial, lambda at: names(at[0]))
        return _plan_table(table, num_initial, names, levels)
    edges = index_array(predecessors, lambda edge: f"edge {edge}", columns=2)
    _check_range(edges[0], -1, num_nodes + num_initial, lambda at: f"source of edge {at[0]}")
    _check_range(edges[1], 0, num_nodes, lambda at: f"target of edge {at[0]}")
    return _plan_edges(edges[0], edges[1], num_nodes, num_initial, names, levels)


def index_array(values: Any, name: Callable[[int], str], columns: int | None) -> Ints:
    """The values as a 2-D integer array: an edge list (2, E) if `columns` is 2, else (N, K).

    ValueError for other shapes and types; `name` gives the name of a row.
    """
    array = (
        values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    )
    shape = "a table (N, K)" if columns is None else "an edge list (2, E)"
    if array.ndim != 2 or (columns is not None and len(array) != columns):
        raise ValueError(f"predecessors must be {shape}, got an array of shape {array.shape}")
    if array.size and array.dtype.kind not in "iu":
        raise ValueError(
            f"predecessors must be integers, got {array.dtype} ({array.flat[0]} at {name(0)})"
        )
    return array.astype(np.int64, copy=False)


def _check_range(array: Ints, low: int, end: int, where: Callable[[Any], str]) -> None:
    if array.size and not low <= array.min() <= array.max() < end:
        wrong = (array < low) | (array >= end)
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"predecessor {array[at]} of {where(at)} is out of range: valid are {low} to {end - 1}"
        )


def _plan_table(table: Ints, num_initial: int, names: NodeNames, known: Ints | None) -> Plan:
    num_nodes, slots = table.shape
    target, slot = np.nonzero((table >= 0) & (table < num_nodes))
    source = table[target, slot]
    level = _levels(source, target, num_nodes, names, known)
    order = stable_order(level)
    rank = _inverse(order)
    rows = _buffer_rows(table[order].ravel(), rank, num_initial)
    levels = _boundaries(level)
    steps = tuple(Step(a, b, slots, a * slots) for a, b in pairwise(levels))
    present = _present(table >= 0, names)
    own = {} if present.all() else {"present": present[order].ravel()}
    return _finish(order, rank, levels, rows, steps, source, num_initial, names, **own)


def _present(filled: NDArray[np.bool_], names: NodeNames) -> NDArray[np.bool_]:
    """The slots (N, K) that count in means: those that are filled, or else one per node.

    For a node without predecessors it is the first slot that its sample fills, as a state must not
    depend on the weights of slots that are never filled.
    """
    empty = np.flatnonzero(~filled.any(axis=1))
    if not empty.size or not filled.shape[1]:
        return filled
    present = filled.copy()
    before = np.concatenate([np.zeros_like(filled[:1], np.int64), np.cumsum(filled, axis=0)])
    ptr = np.array([0, len(filled)]) if len(names.ptr) < 2 else names.ptr
    first = (before[ptr[1:]] > before[ptr[:-1]]).argmax(axis=1)
    present[empty, first[np.searchsorted(ptr, empty, side="right") - 1]] = True
    return present


def _plan_edges(
    source: Ints,
    target: Ints,
    num_nodes: int,
    num_initial: int,
    names: NodeNames,
    known: Ints | None,
) -> Plan:
    num_edges, read = len(source), np.flatnonzero(source >= 0)
    source, target = source[read], target[read]
    inner = source < num_nodes
    level = _levels(source[inner], target[inner], num_nodes, names, known)
    # A node without predecessors reads the null state once, so that means and maxima are defined.
    degree = np.maximum(np.bincount(target, minlength=num_nodes), 1)
    # Nodes of the same level and in-degree are one step, so that nothing is padded.
    order = stable_order(level * (1 + degree.max(initial=0)) + degree)
    rank = _inverse(order)
    by_rank = stable_order(rank[target])
    degree = degree[order]
    offset = np.cumsum(degree) - degree
    rows = np.zeros(int(degree.sum()), np.int64)
    # A node has either edges or one null row.
    filled = np.repeat(np.bincount(rank[target], minlength=num_nodes) > 0, degree)
    rows[filled] = _buffer_rows(source[by_rank], rank, num_initial)
    edges = np.full_like(rows, num_edges)
    edges[filled] = read[by_rank]
    starts = np.flatnonzero(np.diff(degree, prepend=-1) | np.diff(level[order], prepend=-1))
    stops = np.append(starts[1:], num_nodes)
    # Without nodes there is a stop, but no start and no step.
    bounds = (starts, stops, degree[starts], offset[starts])
    steps = tuple(map(Step, *(bound.tolist() for bound in bounds)))
    levels = _boundaries(level)
    plan = _finish(order, rank, levels, rows, steps, source[inner], num_initial, names, edges=edges)
    return replace(plan, num_edges=num_edges)


def _finish(
    order: Ints,
    rank: Ints,
    levels: tuple[int, ...],
    rows: Ints,
    steps: tuple[Step, ...],
    source: Ints,
    num_initial: int,
    names: NodeNames,
    **own: NDArray[Any],
) -> Plan:
    """A plan whose tensors share a storage, in the order of its fields; `own` are optional ones."""
    feeds = np.zeros(len(order), bool)
    feeds[source] = True
    ptr = np.array([0, len(order)]) if len(names.ptr) < 2 else names.ptr
    arrays = {"order": order, "rank": rank, "rows": rows, "sinks": np.flatnonzero(~feeds)}
    arrays |= {"ptr": ptr, **own}
    with lasting():
        whole = torch.from_numpy(np.concatenate(list(arrays.values()), dtype=np.int64))
        parts = whole.split(list(map(len, arrays.values())))
    tensors: dict[str, Any] = dict(zip(arrays, parts, strict=True))
    return Plan(levels=levels, steps=steps, num_initial=num_initial, **tensors)


def _levels(
    source: Ints, target: Ints, num_nodes: int, names: NodeNames, known: Ints | None
) -> Ints:
    if known is not None:
        return _checked_levels(known, source, target, num_nodes, names)
    try:
        return node_levels(source, target, num_nodes)
    except Cycle as cycle:
        raise cycle_error(cycle.nodes, source, target, names) from None


def _checked_levels(
    level: Ints, source: Ints, target: Ints, num_nodes: int, names: NodeNames
) -> Ints:
    if level.shape != (num_nodes,):
        raise ValueError(f"levels must be one per node, ({num_nodes},), got shape {level.shape}")
    wrong = level[source] >= level[target]
    if wrong.any():
        edge = int(np.argmax(wrong))
        before, node = int(source[edge]), int(target[edge])
        raise ValueError(
            f"level {level[node]} of {names(node)} is not above level {level[before]} of its "
            f"predecessor, {names(before)}"
        )
    return level


def _boundaries(level: Ints) -> tuple[int, ...]:
    return (0, *np.cumsum(np.bincount(level)).tolist()) if level.size else (0,)


def _inverse(order: Ints) -> Ints:
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank


def _buffer_rows(nodes: Ints, rank: Ints, num_initial: int) -> Ints:
    """The rows in the state buffer of nodes, initial states (N + j) and absent ones (-1)."""
    row_of = np.concatenate(
        [1 + num_initial + rank, np.arange(1, num_initial + 1), np.zeros(1, np.int64)]
    )
    return row_of[nodes]
