"""Exported nets compared with torch, on random structures."""

from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from typing import Any

import numpy as np
import torch

from structnet.data.batch import Batch, Sample, Tokens, collate
from structnet.data.mixed import Mixed
from structnet.export.parts import Scored
from structnet.export.samples import schedule
from structnet.export.structures import num_edges, num_nodes, random_structures
from structnet.nn.input_layer import BesideNumbers
from structnet.nn.net import Net
from structnet.topology.base import Topology
from structnet.topology.levels import ptr_of
from structnet.topology.plan import Plan

# The largest difference with which an export is taken: of outputs above 1 in size, their share.
LARGEST = 1e-4
# Samples of the batches that are compared, one after the other.
BATCHES = (1, 1, 3, 8)


class Differs(ValueError):
    """An exported net gives other outputs than torch."""


def verify(
    model: Any, net: Net, topology: Topology, scored: Scored, count: int, seed: int
) -> float:
    """The largest difference between the outputs of the runtime and of torch.

    Differs where it is above 1e-4.

    Arguments:
        model: the exported one, as the runtime opens it.
        net, topology, scored: what was exported.
        count: how many random structures are compared.
        seed: of the structures and their input.
    """
    worst = 0.0
    for batch in random_batches(net, topology, model.about, count, seed):
        expected = outputs(net, scored, batch)
        for plans in _plans(topology, batch, model.about):
            found = model.run(plans, **input_of(batch))
            worst = max(worst, difference(found, expected))
        if not worst <= LARGEST:
            sizes = batch.ptr.diff().tolist()
            raise Differs(
                f"the exported net differs from torch by {worst:.3g}, more than {LARGEST:g}, on "
                f"structures of {sizes} nodes: nothing is written"
            )
    return worst


def difference(found: Any, expected: Any) -> float:
    """The largest difference, relative to what is expected where that is above 1 in size."""
    if found.shape != expected.shape:
        return float("inf")
    if not found.size:
        return 0.0
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        apart = np.abs(found - expected) / np.maximum(1, np.abs(expected))
    return float(np.where(same, 0, np.nan_to_num(apart, nan=np.inf)).max())


@torch.inference_mode()
def outputs(net: Net, scored: Scored, batch: Batch) -> Any:
    """What torch gives for a batch: what the exported head returns."""
    sinks = [plan.sinks for plan in batch.plans]
    return scored(net.states(batch), batch.sample_of_node(), batch.ptr, *sinks).numpy()


def input_of(batch: Batch) -> dict[str, Any]:
    """The input of a batch, by the names that the runtime takes it by."""
    found = {} if batch.edge_x is None else {"edge_x": batch.edge_x.numpy()}
    if batch.condition is not None:
        found["condition"] = batch.condition.numpy()
    x = batch.x
    tokens = x.tokens if isinstance(x, Mixed) else x if isinstance(x, Tokens) else None
    if tokens is not None:
        ids, ptr = tokens.ids.numpy(), tokens.ptr.numpy()
        found |= {"ids": ids, "node": np.repeat(np.arange(len(ptr) - 1), np.diff(ptr)), "ptr": ptr}
    if not isinstance(x, Tokens):
        found["x"] = (x.numbers if isinstance(x, Mixed) else x).numpy()
    return found


def arrays(plan: Plan) -> dict[str, Any]:
    """A plan as the arrays that the runtime takes."""
    none = np.zeros(0, np.int64)
    found = {name: getattr(plan, name) for name in ("order", "rank", "rows", "sinks", "ptr")}
    optional = {"present": plan.present, "edges": plan.edges}
    return {
        **{name: one.numpy() for name, one in found.items()},
        **{name: none if one is None else one.numpy() for name, one in optional.items()},
        "steps": np.array(plan.steps, np.int64).reshape(-1, 4),
        "num_initial": np.int64(plan.num_initial),
    }


def random_batches(
    net: Net, topology: Topology, about: Any, count: int, seed: int
) -> Iterator[Batch]:
    """Batches of `count` random structures in all, the awkward ones first, with random input."""
    random = np.random.default_rng(seed)
    structures = islice(random_structures(topology, random), count)
    turn = 0
    while found := list(islice(structures, BATCHES[turn % len(BATCHES)])):
        turn += 1
        yield collate([_sample(one, topology, about, net, random) for one in found], topology)


def _sample(structure: Any, topology: Topology, about: Any, net: Any, random: Any) -> Sample:
    nodes = num_nodes(topology, structure)
    edge_x = None
    if about["edge_size"]:
        shape = num_edges(structure), about["edge_size"]
        edge_x = random.standard_normal(shape).astype(np.float32)
    condition = None
    if about["condition_size"]:
        condition = random.standard_normal(about["condition_size"]).astype(np.float32)
    return Sample(structure, _input(nodes, about, net, random), 0, edge_x=edge_x,
                  condition=condition)  # fmt: skip


def _input(nodes: int, about: Any, net: Any, random: Any) -> Any:
    """Random input of nodes: numbers, tokens, or both."""
    numbers = None
    if about["input_size"] is not None:
        numbers = random.standard_normal((nodes, about["input_size"])).astype(np.float32)
    layer: Any = net.input.layer if isinstance(net.input, BesideNumbers) else net.input
    if not hasattr(layer, "dropout"):
        return numbers
    # Most nodes have a token, some none and some several.
    counts = random.choice([0, 1, 1, 1, 3], nodes)
    tokens = Tokens(random.integers(0, len(layer.dropout.counts), counts.sum()), ptr_of(counts))
    return tokens if numbers is None else Mixed(tokens, numbers)


def _plans(topology: Topology, batch: Batch, about: Any) -> Iterator[Sequence[dict[str, Any]]]:
    """The plans of a batch: as they are, and as samples.py makes them."""
    yield [arrays(plan) for plan in batch.plans]
    if not about["edge_size"]:
        pairs = zip(batch.plans, about["arities"], strict=True)
        yield [schedule(predecessors(plan, topology), arity) for plan, arity in pairs]


def predecessors(plan: Plan, topology: Topology) -> list[list[list[int]]]:
    """For every sample of a plan the predecessors of its nodes, as `samples.py` takes them."""
    ptr, order, rows = plan.ptr.tolist(), plan.order.tolist(), plan.rows.tolist()
    each = np.repeat(np.arange(len(ptr) - 1), np.diff(ptr)).tolist()
    found: list[list[list[int]]] = [[[]] * (b - a) for a, b in pairwise(ptr)]
    for start, stop, slots, offset in plan.steps:
        for rank in range(start, stop):
            node, at = order[rank], offset + (rank - start) * slots
            sample = each[node]
            first, size = ptr[sample], ptr[sample + 1] - ptr[sample]
            states = first if topology.num_initial is None else sample * topology.num_initial
            found[sample][node - first] = [
                _number(row, plan.first_row, order, first, size - states)
                for row in rows[at : at + slots]
            ]
    return found


def _number(row: int, first_row: int, order: list[int], first: int, initial: int) -> int:
    """The number that a row of the state buffer has in its sample."""
    if row >= first_row:
        return order[row - first_row] - first
    return row - 1 + initial if row else -1
