"""Level scheduling: predecessors -> Plan."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from structnet.topology.levels import Cycle, Ints, node_levels, stable_order
from structnet.topology.naming import Namer, cycle_error
from structnet.topology.plan import Plan, Step, lasting


def schedule(
    predecessors: ArrayLike | torch.Tensor,
    *,
    num_nodes: int | None = None,
    num_initial: int = 0,
    ptr: ArrayLike | None = None,
    levels: Ints | None = None,
) -> Plan:
    """Plan the nodes whose predecessors are given.

    Without `num_nodes`, `predecessors` is a table (N, K): the predecessor of every node in each of
    K ordered slots, -1 where absent. With `num_nodes`, it is an edge list (2, E), the first row
    feeding the second: any number of unordered predecessors a node; an edge from -1 isn't read. An
    entry N + j stands for initial state j of `num_initial`. `ptr` (B + 1,) says which nodes belong
    to which sample. `levels` (N,) are the nodes' levels, where they are known without a search.

    ValueError for a cycle, an index out of range or one that is no integer, and for levels that
    put a node before its predecessor; sample and node are named.
    """
    name = Namer(ptr)
    if num_nodes is None:
        table = index_array(predecessors, name, columns=None)
        _check_range(table, -1, len(table) + num_initial, lambda at: name(at[0]))
        return _plan_table(table, num_initial, name, levels)
    edges = index_array(predecessors, lambda edge: f"edge {edge}", columns=2)
    _check_range(edges[0], -1, num_nodes + num_initial, lambda at: f"source of edge {at[0]}")
    _check_range(edges[1], 0, num_nodes, lambda at: f"target of edge {at[0]}")
    return _plan_edges(edges[0], edges[1], num_nodes, num_initial, name, levels)


def index_array(values: Any, name: Callable[[int], str], columns: int | None) -> Ints:
    """A 2-D integer array: (2, E) edges if `columns` is 2, else a table (N, K)."""
    array = (
        values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    )
    shape = "a table (N, K)" if columns is None else "an edge list (2, E)"
    if array.ndim != 2 or (columns is not None and len(array) != columns):
        raise ValueError(f"predecessors are {shape}, got an array of shape {array.shape}")
    if array.size and array.dtype.kind not in "iu":
        raise ValueError(
            f"predecessors are integers, got {array.dtype} ({array.flat[0]} at {name(0)})"
        )
    return array.astype(np.int64, copy=False)


def _check_range(array: Ints, low: int, end: int, where: Callable[[Any], str]) -> None:
    if array.size and not low <= array.min() <= array.max() < end:
        wrong = (array < low) | (array >= end)
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"predecessor {array[at]} of {where(at)} is out of range, "
            f"{low} to {end - 1} are possible"
        )


def _plan_table(table: Ints, num_initial: int, name: Namer, known: Ints | None) -> Plan:
    num_nodes, slots = table.shape
    target, slot = np.nonzero((table >= 0) & (table < num_nodes))
    source = table[target, slot]
    level = _levels(source, target, num_nodes, name, known)
    order = stable_order(level)
    rank = _inverse(order)
    rows = _buffer_rows(table[order].ravel(), rank, num_initial)
    levels = _boundaries(level)
    steps = tuple(Step(a, b, slots, a * slots) for a, b in pairwise(levels))
    present = _present(table >= 0, name)
    own = {} if present.all() else {"present": present[order].ravel()}
    return _finish(order, rank, levels, rows, steps, source, num_initial, name, **own)


def _present(filled: NDArray[np.bool_], name: Namer) -> NDArray[np.bool_]:
    """The slots (N, K) that count: those that are filled, or one of a node that has none.

    That one is the first slot that its sample fills: a state must not depend on weights of slots
    that are never there.
    """
    empty = np.flatnonzero(~filled.any(axis=1))
    if not empty.size or not filled.shape[1]:
        return filled
    present = filled.copy()
    before = np.concatenate([np.zeros_like(filled[:1], np.int64), np.cumsum(filled, axis=0)])
    ptr = np.array([0, len(filled)]) if len(name.ptr) < 2 else name.ptr
    first = (before[ptr[1:]] > before[ptr[:-1]]).argmax(axis=1)
    present[empty, first[np.searchsorted(ptr, empty, side="right") - 1]] = True
    return present


def _plan_edges(
    source: Ints,
    target: Ints,
    num_nodes: int,
    num_initial: int,
    name: Namer,
    known: Ints | None,
) -> Plan:
    num_edges, read = len(source), np.flatnonzero(source >= 0)
    source, target = source[read], target[read]
    inner = source < num_nodes
    level = _levels(source[inner], target[inner], num_nodes, name, known)
    # A node without predecessors reads the null state once: every mean or maximum is defined.
    degree = np.maximum(np.bincount(target, minlength=num_nodes), 1)
    # Nodes of one level and one in-degree are one step, so that nothing is padded.
    order = stable_order(level * (1 + degree.max(initial=0)) + degree)
    rank = _inverse(order)
    by_rank = stable_order(rank[target])
    degree = degree[order]
    offset = np.cumsum(degree) - degree
    rows = np.zeros(int(degree.sum()), np.int64)
    # A node has edges or one null row: the places that edges fill are those of nodes with edges.
    filled = np.repeat(np.bincount(rank[target], minlength=num_nodes) > 0, degree)
    rows[filled] = _buffer_rows(source[by_rank], rank, num_initial)
    edges = np.full_like(rows, num_edges)
    edges[filled] = read[by_rank]
    starts = np.flatnonzero(np.diff(degree, prepend=-1) | np.diff(level[order], prepend=-1))
    stops = np.append(starts[1:], num_nodes)
    steps = np.stack([starts, stops, degree[starts], offset[starts]], 1) if num_nodes else starts
    steps = tuple(map(Step._make, steps.tolist()))
    levels = _boundaries(level)
    plan = _finish(order, rank, levels, rows, steps, source[inner], num_initial, name, edges=edges)
    return replace(plan, num_edges=num_edges)


def _finish(
    order: Ints,
    rank: Ints,
    levels: tuple[int, ...],
    rows: Ints,
    steps: tuple[Step, ...],
    source: Ints,
    num_initial: int,
    name: Namer,
    **own: NDArray[Any],
) -> Plan:
    """A plan whose tensors are one, in the order of its fields; `own` are those not all have."""
    feeds = np.zeros(len(order), bool)
    feeds[source] = True
    ptr = np.array([0, len(order)]) if len(name.ptr) < 2 else name.ptr
    arrays = {"order": order, "rank": rank, "rows": rows, "sinks": np.flatnonzero(~feeds)}
    arrays |= {"ptr": ptr, **own}
    with lasting():
        whole = torch.from_numpy(np.concatenate(list(arrays.values()), dtype=np.int64))
        parts = whole.split(list(map(len, arrays.values())))
    tensors = dict(zip(arrays, parts, strict=True))
    return Plan(levels=levels, steps=steps, num_initial=num_initial, **tensors)


def _levels(source: Ints, target: Ints, num_nodes: int, name: Namer, known: Ints | None) -> Ints:
    if known is not None:
        return _checked_levels(known, source, target, num_nodes, name)
    try:
        return node_levels(source, target, num_nodes)
    except Cycle as cycle:
        raise cycle_error(cycle.nodes, source, target, name) from None


def _checked_levels(level: Ints, source: Ints, target: Ints, num_nodes: int, name: Namer) -> Ints:
    if level.shape != (num_nodes,):
        raise ValueError(f"levels are one a node, ({num_nodes},), got an array of {level.shape}")
    wrong = level[source] >= level[target]
    if wrong.any():
        edge = int(np.argmax(wrong))
        before, node = int(source[edge]), int(target[edge])
        raise ValueError(
            f"level {level[node]} of {name(node)} is not above level {level[before]} of its "
            f"predecessor, {name(before)}"
        )
    return level


def _boundaries(level: Ints) -> tuple[int, ...]:
    return (0, *np.cumsum(np.bincount(level)).tolist()) if level.size else (0,)


def _inverse(order: Ints) -> Ints:
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank


def _buffer_rows(nodes: Ints, rank: Ints, num_initial: int) -> Ints:
    """Rows of the state buffer for nodes, initial states (N + j) and absent predecessors (-1)."""
    row_of = np.concatenate(
        [1 + num_initial + rank, np.arange(1, num_initial + 1), np.zeros(1, np.int64)]
    )
    return row_of[nodes]
