"""Level scheduling: predecessors -> Plan."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from structnet.levels import Cycle, Ints, node_levels, stable_order
from structnet.places import Namer, cycle_error


@dataclass(frozen=True, eq=False)
class Plan:
    """The execution order of the nodes of one batch, in one direction.

    `order` (N,) is the node at every rank, `rank` (N,) its inverse; level l holds the ranks
    `levels[l]:levels[l + 1]`. `rows` are the rows of the state buffer that the nodes read, by rank:
    row 0 is the null state, rows 1 to `num_initial` the initial states, and row
    `1 + num_initial + r` belongs to the node of rank r. A step (start, stop, slots, offset) is one
    batched cell call: the nodes of ranks start to stop are of one level, and each reads `slots`
    rows, from `rows[offset]` on. `sinks` are the nodes that feed no other, ascending; sample b
    owns the nodes `ptr[b]:ptr[b + 1]`.

    Where predecessors are given as edges, `edges` (R,) are, for every place in `rows`, the edge it
    stands for, numbered as they are given and before any direction turns them, `num_edges` of none.
    """

    order: torch.Tensor
    rank: torch.Tensor
    levels: tuple[int, ...]
    rows: torch.Tensor
    steps: tuple[tuple[int, int, int, int], ...]
    sinks: torch.Tensor
    num_initial: int
    ptr: torch.Tensor
    edges: torch.Tensor | None = None
    num_edges: int = 0

    @property
    def num_nodes(self) -> int:
        return self.levels[-1]

    @property
    def level_sizes(self) -> tuple[int, ...]:
        """For chains, the `batch_sizes` of a PackedSequence."""
        return tuple(stop - start for start, stop in pairwise(self.levels))

    @cached_property
    def chains(self) -> torch.Tensor | None:
        """The ranks, chain by chain in order; None where a node has or feeds more than one."""
        # Validation asks under inference mode for what training finds here.
        with torch.inference_mode(False):
            return self._chains()

    def _chains(self) -> torch.Tensor | None:
        if any(slots != 1 for _, _, slots, _ in self.steps):
            return None
        before = self.rows - (1 + self.num_initial)
        inner = before >= 0
        if (torch.bincount(before[inner], minlength=1) > 1).any():
            return None
        rank = torch.arange(self.num_nodes, device=self.rows.device)
        head = torch.where(inner, before, rank)
        for _ in range((len(self.levels) - 1).bit_length()):
            head = head[head]
        return torch.argsort(head, stable=True)

    @cached_property
    def readers(self) -> torch.Tensor:
        """The rank of the node that reads, at every place in `rows`, (R,).

        It is made on the plan's device, without waiting for it.
        """
        with torch.inference_mode(False):
            steps = torch.tensor(self.steps, dtype=torch.int64).view(-1, 4)
            if self.rows.is_cuda:
                steps = steps.pin_memory()
            start, stop, slots, _ = steps.to(self.rows.device, non_blocking=True).unbind(1)
            each = slots.repeat_interleave(stop - start, output_size=self.num_nodes)
            ranks = torch.arange(self.num_nodes, device=self.rows.device)
            return ranks.repeat_interleave(each, output_size=len(self.rows))

    @cached_property
    def arrows(self) -> torch.Tensor:
        """Who feeds whom, (2, R), at every place in `rows`; both `num_nodes` where nobody does.

        Initial states are nobody.
        """
        with torch.inference_mode(False):
            target = self.order[self.readers]
            before = self.rows - (1 + self.num_initial)
            source = self.order[before.clamp(min=0)] if self.num_nodes else before
            return torch.stack([source, target]).where(before >= 0, self.num_nodes)

    @cached_property
    def links(self) -> torch.Tensor:
        """The arrows and their opposites, (2, 2 R)."""
        with torch.inference_mode(False):
            return torch.cat([self.arrows, self.arrows.flip(0)], dim=1)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Plan":
        return self.map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "Plan":
        return self.map(torch.Tensor.pin_memory)

    def map(self, move: Callable[[torch.Tensor], torch.Tensor]) -> "Plan":
        """Moved in one piece where the tensors are one, as `schedule` makes them."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        tensors = {k: value for k, value in values.items() if isinstance(value, torch.Tensor)}
        whole = _whole(list(tensors.values()))
        if whole is None:
            moved = map(move, tensors.values())
        else:
            moved = move(whole).split(list(map(len, tensors.values())))
        return replace(self, **dict(zip(tensors, moved, strict=True)))


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
    steps = tuple((a, b, slots, a * slots) for a, b in pairwise(levels))
    return _finish(order, rank, levels, rows, steps, source, num_initial, name)


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
    steps = tuple(map(tuple, steps.tolist()))
    levels = _boundaries(level)
    plan = _finish(order, rank, levels, rows, steps, source[inner], num_initial, name, edges)
    return replace(plan, num_edges=num_edges)


def _finish(
    order: Ints,
    rank: Ints,
    levels: tuple[int, ...],
    rows: Ints,
    steps: tuple[Any, ...],
    source: Ints,
    num_initial: int,
    name: Namer,
    *edges: Ints,
) -> Plan:
    feeds = np.zeros(len(order), bool)
    feeds[source] = True
    ptr = np.array([0, len(order)]) if len(name.ptr) < 2 else name.ptr
    arrays = (order, rank, rows, np.flatnonzero(~feeds), ptr, *edges)
    # Validation plans under inference mode what training finds in the cache.
    with torch.inference_mode(False):
        whole = torch.from_numpy(np.concatenate(arrays))
        order_, rank_, rows_, sinks, *others = whole.split(list(map(len, arrays)))
    return Plan(order_, rank_, levels, rows_, steps, sinks, num_initial, *others)


def _whole(tensors: list[torch.Tensor]) -> torch.Tensor | None:
    """The tensor that these are the parts of, in this order; None if there is none."""
    storage, start = tensors[0].untyped_storage().data_ptr(), tensors[0].storage_offset()
    stop = start
    for tensor in tensors:
        if (
            tensor.untyped_storage().data_ptr() != storage
            or tensor.storage_offset() != stop
            or not tensor.is_contiguous()
        ):
            return None
        stop += len(tensor)
    return tensors[0].as_strided((stop - start,), (1,))


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
