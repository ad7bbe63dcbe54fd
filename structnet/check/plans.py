"""The check of a topology's plans: levels and predecessors of structures of many sizes."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from structnet.check.card import Failed, NotFor
from structnet.check.refusals import refusals
from structnet.check.structures import of_size
from structnet.topology.base import Topology
from structnet.topology.levels import node_levels
from structnet.topology.plan import Plan

SIZES = (1, 2, 3, 5, 17, 64)


def plans_as_alone(topology: Topology) -> str:
    """Whether levels are those of the predecessors, and a batch has those of each sample alone."""
    taken: list[Any] = []
    alone: list[tuple[Plan, ...]] = []
    refused: list[str] = []
    for size in SIZES:
        for one in of_size(topology, size):
            try:
                with refusals():
                    alone.append(topology.plan([one]))
                taken.append(one)
            except NotFor as error:
                refused.append(f"size {size} is refused: {error}")
                break
    if not taken:
        raise NotFor("; ".join(refused))
    together = topology.plan(taken)
    for direction, plan in zip(topology.directions, together, strict=True):
        _check_levels(plan, f"{direction}, in a batch")
    for sample, plans in enumerate(alone):
        for direction, pair in enumerate(zip(plans, together, strict=True)):
            _check_levels(pair[0], f"{topology.directions[direction]}, alone")
            _check_same(topology, direction, pair, sample)
    nodes = together[0].num_nodes
    return "; ".join([f"{len(taken)} structures of {nodes:,} nodes", *refused])


def _check_levels(plan: Plan, where: str) -> None:
    """Failed where a level is not one more than the highest of the node's predecessors."""
    count = plan.num_nodes
    source, target = plan.arrows[:, plan.arrows[0] < count].numpy()
    sizes = torch.tensor(plan.level_sizes, dtype=torch.int64)
    found = torch.arange(len(sizes)).repeat_interleave(sizes)[plan.rank]
    expected = torch.from_numpy(node_levels(source, target, count))
    if not found.equal(expected):
        node = int(found.ne(expected).nonzero()[0])
        raise Failed(
            f"{where} of {count:,} nodes: node {node} is in level {int(found[node])}, its "
            f"predecessors say {int(expected[node])}"
        )


def _check_same(topology: Topology, direction: int, pair: Sequence[Plan], sample: int) -> None:
    """Failed where a sample reads something else in a batch, the second plan, than alone."""
    plan, whole = pair
    where = f"{topology.directions[direction]}, {plan.num_nodes:,} nodes"
    first, end = whole.ptr[sample : sample + 2].tolist()
    if end - first != plan.num_nodes:
        raise Failed(f"{where}: {end - first:,} in a batch")
    each, is_set = topology.num_initial, topology.arities[direction] is None
    initial = first if each is None else each * sample
    alone = _reads(plan, range(plan.num_nodes), 0, is_set)
    beside = _reads(whole, range(first, end), initial, is_set)
    if alone.shape != beside.shape or not alone.equal(beside):
        raise Failed(f"{where}: the predecessors in a batch are others than alone")


def _reads(plan: Plan, nodes: range, initial: int, is_set: bool) -> Tensor:
    """What some nodes read, node by node (R, 3): the node, a kind of state, and its number.

    Arguments:
        nodes: a sample's, which are numbered from 0 on.
        initial: the number of the sample's first initial state.
        is_set: whether a node's predecessors have no order.
    """
    target, row = plan.order[plan.readers], plan.rows
    is_node, is_initial = row >= plan.first_row, (row > 0) & (row < plan.first_row)
    number = torch.zeros_like(row)
    number[is_node] = plan.order[row[is_node] - plan.first_row] - nodes.start
    number[is_initial] = row[is_initial] - 1 - initial
    reads = torch.stack([target - nodes.start, 2 * is_node + 1 * is_initial, number], 1)
    reads = reads[(target >= nodes.start) & (target < nodes.stop)]
    # The least important key first, by stable sorts.
    for column in (2, 1, 0) if is_set else (0,):
        reads = reads[reads[:, column].argsort(stable=True)]
    return reads
