"""Cutting some samples out of a batch: plans are made for all requests that arrive together.

Planning many samples at once takes a tenth of planning them one by one or less, and they leave at
different times.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from structnet.data.batch import Batch
from structnet.topology.levels import ptr_of, ranges
from structnet.topology.plan import Plan, Step

Ints = NDArray[np.integer]


def sample_heights(plan: Plan) -> Ints:
    """The number of levels of every sample of a plan (B,)."""
    ptr, sizes = plan.ptr.numpy(), np.array(plan.level_sizes, np.int64)
    level = np.repeat(np.arange(1, len(sizes) + 1), sizes)[plan.rank.numpy()]
    heights = np.zeros(len(ptr) - 1, np.int64)
    filled = np.diff(ptr) > 0
    if filled.any():
        heights[filled] = np.maximum.reduceat(level, ptr[:-1][filled])
    return heights


def cut_batch(batch: Batch, chosen: Ints) -> Batch:
    """The batch of some of its samples, as readouts and heads read it.

    Its `x` and `edge_x` stay whole. `y` is cut, as that of a forecast has the scale it is said in.

    Arguments:
        batch: a batch without parts.
        chosen: the indices of the samples that are wanted, ascending.
    """
    starts, sizes = batch.ptr.numpy()[chosen], np.diff(batch.ptr.numpy())[chosen]
    at = torch.from_numpy(chosen)
    return replace(
        batch,
        plans=tuple(cut_plan(plan, chosen) for plan in batch.plans),
        ptr=torch.from_numpy(ptr_of(sizes)),
        y=_cut_targets(batch, at, torch.from_numpy(ranges(starts, sizes))),
        kind=batch.kind[at],
        condition=None if batch.condition is None else batch.condition[at],
        shapes=tuple(batch.shapes[i] for i in chosen.tolist()) if batch.shapes else (),
    )


def _cut_targets(batch: Batch, samples: Tensor, nodes: Tensor) -> Tensor:
    """The targets of some samples; 0 where a batch has as many for neither nodes nor samples."""
    for of, chosen in ((batch.num_nodes, nodes), (batch.num_samples, samples)):
        if of and len(batch.y) and len(batch.y) % of == 0:
            return batch.y.unflatten(0, (of, -1))[chosen].flatten(0, 1)
    return batch.y.new_zeros(len(samples))


def cut_plan(plan: Plan, chosen: Ints) -> Plan:
    """The plan of some samples of a plan, for a pass without initial states.

    Edges keep the numbers that they have in the whole plan, and `num_edges` is that of all.

    Arguments:
        plan: a plan.
        chosen: the indices of samples, ascending.
    """
    ptr, order = plan.ptr.numpy(), plan.order.numpy()
    sizes = np.diff(ptr)[chosen]
    nodes = ranges(ptr[chosen], sizes)
    new_node = np.full(plan.num_nodes, -1)
    new_node[nodes] = np.arange(len(nodes))
    kept = np.flatnonzero(new_node[order] >= 0)
    new_order = new_node[order[kept]]
    new_rank = np.empty_like(new_order)
    new_rank[new_order] = np.arange(len(kept))

    entries, steps = _entries(plan, kept)
    # Rows of the null state and of initial states, which are zero, are row 0.
    rank_of_row = np.zeros(plan.first_row + plan.num_nodes, np.int64)
    rank_of_row[plan.first_row + kept] = 1 + np.arange(len(kept))
    sinks = new_node[plan.sinks.numpy()]
    levels = np.unique(np.searchsorted(kept, plan.levels)).tolist()
    tensors: dict[str, Any] = {
        "order": new_order, "rank": new_rank, "sinks": sinks[sinks >= 0], "ptr": ptr_of(sizes),
        "rows": rank_of_row[plan.rows.numpy()[entries]],
    }  # fmt: skip
    for name in ("edges", "present"):
        if (whole := getattr(plan, name)) is not None:
            tensors[name] = whole.numpy()[entries]
    found = {name: torch.from_numpy(array) for name, array in tensors.items()}
    return replace(plan, levels=tuple(levels), steps=steps, num_initial=0, **found)


def _entries(plan: Plan, kept: Ints) -> tuple[Ints, tuple[Step, ...]]:
    """The places in `plan.rows` that the nodes of some ranks read, and the steps of these nodes."""
    start, stop, slots, offset = np.array(plan.steps, np.int64).reshape(-1, 4).T
    step = np.repeat(np.arange(len(start)), stop - start)[kept]
    count = slots[step]
    entries = ranges(offset[step] + (kept - start[step]) * count, count)
    bounds, reads = np.searchsorted(kept, np.append(start, plan.num_nodes)), ptr_of(count)
    found = zip(bounds[:-1].tolist(), bounds[1:].tolist(), slots.tolist(), strict=True)
    steps = (Step(a, b, k, int(reads[a])) for a, b, k in found if b > a)
    return entries, tuple(steps)
