"""A net as ONNX files, and the description by which the runtime calls them.

N: nodes, n: nodes of a step, K: slots.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from structnet.cell.adapt import outputs_state
from structnet.export.onnx import Part, to_onnx
from structnet.export.parts import (
    Counted,
    EdgeTermsOf,
    Embedded,
    Entering,
    Leave,
    Output,
    Project,
    Scored,
    Step,
)
from structnet.export.refusal import check_exportable
from structnet.nn.apart import Apart
from structnet.nn.embedding import OneHot
from structnet.nn.input_layer import BesideNumbers
from structnet.nn.net import Net
from structnet.nn.recurrence import Recurrence
from structnet.nn.stack import Stack
from structnet.registry import cells, heads, readouts
from structnet.topology.base import Topology

# Sizes of the examples with which parts are traced; those that are free may be any other.
NODES, SLOTS = 5, 3


@dataclass
class Exported:
    """The files of a net, and what `model.json` says of them."""

    parts: list[Part] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, *given: Any) -> str:
        """Add a `Part`; the name of its file."""
        self.parts.append(Part(name, *given))
        return f"{name}.onnx"


def export(
    net: Net, topology: Topology, finish: Callable[[Tensor], Tensor] | None = None
) -> Exported:
    """The parts of a net as ONNX files, and how the runtime calls them.

    NotExportable for a net, an option or a cell that has no exported form.

    Arguments:
        net: in evaluation.
        topology: its topology, of all directions.
        finish: what is done with the head's outputs, such as a change of unit; None for nothing.
    """
    check_exportable(net)
    found = Exported()
    size = _add_input(found, net)
    stacks: Any = net.stack.stacks if isinstance(net.stack, Apart) else [net.stack]
    found.about |= {
        "directions": list(topology.directions),
        "arities": list(topology.arities),
        "chain": chain_directions(topology),
        "initial": topology.num_initial != 0,
        "edge_size": net.edge_size if net.edges else None,
        "per_node": net.readout.per_node,
        "stacks": [
            _stack(found, one, size, list(topology.directions), at if len(stacks) > 1 else None)
            for at, one in enumerate(stacks)
        ],
    }
    _add_head(found, net, len(topology.directions), finish)
    found.files |= to_onnx(found.parts)
    return found


def chain_directions(topology: Topology) -> dict[str, str] | None:
    """Of chains, whether each direction reads forward or backward; None for anything else."""
    if topology.takes != "sequence" or topology.num_initial != 1:
        return None
    ways = {(3, 0, 1): "forward", (1, 2, 3): "backward"}
    tables: Any = topology.predecessors(3)
    tables = tables if len(topology.directions) > 1 else (tables,)
    read = [tuple(torch.as_tensor(table).flatten().tolist()) for table in tables]
    if not all(one in ways for one in read):
        return None
    return dict(zip(topology.directions, map(ways.__getitem__, read), strict=True))


def _add_input(found: Exported, net: Net) -> int:
    """Add input.onnx; the size of what enters the lowest layer."""
    layer: Any = net.input
    numbers = net.entering - (net.condition.size if net.condition is not None else 0)
    tokens = None
    if isinstance(layer, BesideNumbers):
        layer = layer.layer
        numbers -= layer.size if isinstance(layer, OneHot) else layer.embedding_dim
    elif not isinstance(layer, nn.Identity):
        numbers = 0
    if not isinstance(layer, nn.Identity):
        tokens = Counted(layer) if isinstance(layer, OneHot) else Embedded(layer)
    condition = 0 if net.condition is None else net.condition.size
    module = Entering(tokens, numbers > 0, condition > 0)
    every = {
        "ids": torch.zeros(7, dtype=torch.int64),
        "node": torch.arange(7) // 2,
        "ptr": torch.tensor([0, 2, 4, 6, 7, 7]),
        "x": torch.randn(NODES, numbers),
        "condition": torch.randn(3, condition),
        "sample": torch.tensor([0, 0, 1, 2, 2]),
    }
    found.add("input", module, {name: every[name] for name in module.names}, "net.input")
    found.about |= {"input_size": numbers or None, "condition_size": condition or None}
    return net.entering


def _stack(
    found: Exported, stack: Stack, size: int, directions: list[str], at: int | None
) -> dict[str, Any]:
    """The description of a stack, whose parts are added.

    Arguments:
        found: gets the files.
        stack: the layers.
        size: what enters the lowest.
        directions: the names of all directions.
        at: the direction that the stack is for; None for all.
    """
    layers, h = [], size
    for depth, layer in enumerate(stack.layers):
        made: Any = layer
        ways = range(len(directions)) if at is None else [at]
        names = [f"layer{depth}_{_plain(directions[way])}" for way in ways]
        parts = [
            _cell(found, made, own, name, way)
            for own, (name, way) in enumerate(zip(names, ways, strict=True))
        ]
        inputs = {
            "h": torch.randn(NODES, h),
            "out": torch.randn(NODES, made.output_size),
            "x": torch.randn(NODES, size),
        }
        leave = Leave(stack, depth)
        left = leave(*inputs.values()).shape[1]
        name = None
        if stack.skip not in ("none", "input") or left != made.output_size:
            name = f"layer{depth}_leave" if at is None else f"{names[0]}_leave"
            name = found.add(name, leave, inputs, "net.skip")
        layers.append({"cells": parts, "leave": name})
        h = left
    topology = stack.layers[0].topology
    hands_on = topology.num_initial is None
    return {"hands_on": hands_on, "in_turn": topology.in_turn, "layers": layers}


def _cell(found: Exported, layer: Recurrence, at: int, name: str, way: int) -> dict[str, Any]:
    """The description of a layer's cell in one direction, whose parts are added."""
    cell = layer.cells[at]
    what = cells.called(cell)
    width = layer.input_sizes[at] + (sum(cell.state_sizes) if cell.reads_own else 0)
    x = torch.randn(NODES, width)
    project = found.add(f"{name}_project", Project(cell), {"x": x}, what)
    z, slots = Project(cell)(x), cell.arity or SLOTS
    several = cell.arity is not None and cell.arity > 1
    inputs = {"z": z}
    for index, size in enumerate(cell.state_sizes):
        inputs[f"state_{index}"] = torch.zeros(NODES, slots, size)
    if several:
        inputs["present"] = torch.ones(NODES, slots, 1, dtype=torch.bool)
    if layer.edges is not None:
        inputs["edges"] = torch.zeros(NODES, slots, cell.edge_columns)
    # Any number of unordered predecessors.
    free = {} if cell.arity else {name: (0, 1) for name in inputs if name != "z"}
    of_slots = f"_K{cell.arity}" if cell.arity else ""
    step = Step(cell, layer.noise.zoneout, several)
    return {
        "direction": way,
        "sizes": list(cell.state_sizes),
        "reads_own": cell.reads_own,
        "project": project,
        "step": found.add(f"{name}_step{of_slots}", step, inputs, what, free),
        "output": _output(found, cell, z, f"{name}_output", what),
        "edges": _edges(found, layer, at, f"{name}_edges"),
    }


def _output(found: Exported, cell: Any, z: Tensor, name: str, what: str) -> str | None:
    if outputs_state(cell):
        return None
    states = {f"state_{i}": torch.rand(NODES, size) for i, size in enumerate(cell.state_sizes)}
    inputs = {"z": z, **states}
    return found.add(name, Output(cell), inputs, what)


def _edges(found: Exported, layer: Recurrence, at: int, name: str) -> str | None:
    if layer.edges is None:
        return None
    inputs = {"edge_x": torch.randn(NODES, layer.edges.edge_size)}
    return found.add(name, EdgeTermsOf(layer.edges[at]), inputs, "net.edges")


def _add_head(
    found: Exported, net: Net, directions: int, finish: Callable[[Tensor], Tensor] | None
) -> None:
    inputs = {
        "h": torch.randn(7, net.stack.output_size),
        "sample": torch.tensor([0, 0, 0, 2, 2, 2, 2]),
        "ptr": torch.tensor([0, 3, 3, 7]),
        **{f"sinks_{i}": torch.tensor([2, 4, 6]) for i in range(directions)},
    }
    what = f"{readouts.called(net.readout)} with {heads.called(net.head)}"
    found.add("head", Scored(net, finish), inputs, what)


def _plain(name: str) -> str:
    """A direction's name as a part of the name of a file."""
    return re.sub(r"\W", "_", name)
