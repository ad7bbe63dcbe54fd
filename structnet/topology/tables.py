"""Plans from the tables or edges that topologies give for samples, renumbered for the batch."""

from collections.abc import Callable
from typing import Any

import numpy as np

from structnet.topology.edges import Edges
from structnet.topology.levels import Ints, ptr_of
from structnet.topology.naming import NodeNames
from structnet.topology.plan import Plan
from structnet.topology.schedule import index_array, schedule


def plan_ordered(
    tables: list[Any],
    *,
    arity: int,
    num_initial: int | None,
    levels: Ints | None,
    samples: Ints | None,
) -> Plan:
    """The plan of samples, given the table (n, arity) of each.

    Arguments:
        tables: the predecessors of every node, -1 where absent; the sample's initial states follow
            its nodes.
        arity: the number of slots.
        num_initial: the number of initial states per sample, or None for one per node.
        levels: the level of every node, where it is known.
        samples: the bounds of the samples in the only table, which is that of their union.

    ValueError, with sample and node, for an index that is not an integer or out of range.
    """
    tables = [_checked(table, sample, arity) for sample, table in enumerate(tables)]
    sizes = [len(table) for table in tables]
    table = np.concatenate(tables) if tables else np.zeros((0, arity), np.int64)
    sample = np.repeat(np.arange(len(sizes)), sizes)[:, None]
    ptr = ptr_of(sizes)
    names = NodeNames(ptr)
    first = _first_initial(ptr, num_initial)
    shifted = _shift(table, sample, ptr, -1, first, lambda at: names(at[0]))
    ptr = ptr if samples is None else samples
    return schedule(shifted, num_initial=int(first[-1]), ptr=ptr, levels=levels)


def plan_unordered(
    tables: list[Any], *, num_initial: int | None, levels: Ints | None, samples: Ints | None
) -> Plan:
    """The same, given `Edges` or a table of any number of predecessors for each sample."""
    edges = [_as_edges(table, sample) for sample, table in enumerate(tables)]
    ptr = ptr_of([one.num_nodes for one in edges])
    index = np.concatenate([np.zeros((2, 0), np.int64), *(one.index for one in edges)], axis=1)
    counts = np.array([np.shape(one.index)[1] for one in edges], np.int64)
    sample = np.repeat(np.arange(len(counts)), counts)

    def target_of(at: tuple[int, ...]) -> str:
        return f"sample {sample[at]}, target of an edge"

    def source_of(at: tuple[int, ...]) -> str:
        return f"sample {sample[at]}, node {index[1][at]}"

    first = _first_initial(ptr, num_initial)
    target = _shift(index[1], sample, ptr, 0, np.zeros_like(ptr), target_of)
    source = _shift(index[0], sample, ptr, -1, first, source_of)
    return schedule(
        np.stack([source, target]),
        num_nodes=int(ptr[-1]),
        num_initial=int(first[-1]),
        ptr=ptr if samples is None else samples,
        levels=levels,
    )


def _checked(table: Any, sample: int, arity: int) -> Ints:
    table = index_array(table, lambda node: f"sample {sample}, node {node}", columns=None)
    if table.shape[1] != arity:
        raise ValueError(
            f"sample {sample} has {table.shape[1]} predecessor slots, but the topology has {arity}"
        )
    return table


def _as_edges(table: Any, sample: int) -> Edges:
    def name(node: int) -> str:
        return f"sample {sample}, node {node}"

    if isinstance(table, Edges):
        index = index_array(table.index, lambda edge: f"sample {sample}, edge {edge}", columns=2)
        return Edges(index, int(table.num_nodes))
    table = index_array(table, name, columns=None)
    target, slot = np.nonzero(table != -1)
    return Edges(np.stack([table[target, slot], target]), len(table))


def _first_initial(ptr: Ints, num_initial: int | None) -> Ints:
    """The number of the first initial state of every sample, and of all initial states."""
    return ptr if num_initial is None else num_initial * np.arange(len(ptr))


def _shift(
    nodes: Ints,
    sample: Ints,
    ptr: Ints,
    low: int,
    first: Ints,
    where: Callable[[tuple[int, ...]], str],
) -> Ints:
    """Renumber the samples' nodes and initial states for the whole batch, nodes first."""
    size = np.diff(ptr)[sample]
    ends = size + np.diff(first)[sample]
    wrong = (nodes < low) | (nodes >= ends)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        end = np.broadcast_to(ends, nodes.shape)[at]
        raise ValueError(
            f"index {nodes[at]} at {where(at)} is out of range: valid are {low} to {end - 1}"
        )
    initial = ptr[-1] + first[sample] + nodes - size
    return np.where(nodes < size, np.where(nodes < 0, nodes, nodes + ptr[sample]), initial)
