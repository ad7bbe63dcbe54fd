"""What a pass stores for backward where the layer leaves it open (save=auto)."""

import logging
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import nn

from structnet.cell.base import Cell
from structnet.cell.frame import first_parameter
from structnet.execute.executor import Executor, Pass, Spec, find, reason
from structnet.execute.transform import is_transformed
from structnet.nn.compiling import InTime
from structnet.nn.option_checks import excludes_recomputing
from structnet.system.memory import as_bytes, total_memory

# The part of the machine's memory that what one layer stores may take. It is a part of all memory,
# not of what is free, so that results do not depend on what else runs.
SHARE = 0.5
# Peak memory of a training step by what `stored` counts: it was 1.9 for an LSTM on a graph of
# 100,000 nodes, compiled, and 2.7 level by level.
PEAK = 2.5
log = logging.getLogger("structnet")


def fitting(layer: Any, spec: Spec, executor: Executor, p: Pass) -> tuple[Executor, Pass]:
    """What runs a pass, and the pass with what it stores for backward.

    All that backward needs (gates), unless this would take more than SHARE of the memory and
    backward will come: then recompute, where the cell can be compiled, else windows, where the
    executor takes them.
    """
    needed = PEAK * stored(p) * len(layer.cells) if torch.is_grad_enabled() else 0
    if needed <= SHARE * _memory(p.x.device) or not _learns(p):
        return executor, p
    if excludes_recomputing(p.cell, spec.needs):
        return executor, p
    ways = ((_compiled(executor, p), "recompute"), (executor, "windows"))
    for other, save in ways:
        # One that becomes compiled in time has the name of what runs until then.
        if other is None:
            continue
        if reason(find(other.name), spec._replace(needs=spec.needs | {save})) is None:
            _say(layer, p, needed, save)
            return other, replace(p, save=save)
    return executor, p


_told: "WeakSet[nn.Module]" = WeakSet()


def _say(layer: nn.Module, p: Pass, needed: float, save: str) -> None:
    """Say once that a layer computes parts of its passes again in backward."""
    if layer not in _told:
        _told.add(layer)
        log.warning(
            "a training step of a layer on %s nodes would take about %s of %s of memory: "
            "save=%s stores less, and computes the rest again (save=gates does not)",
            f"{p.plan.num_nodes:,}",
            as_bytes(int(needed)),
            as_bytes(_memory(p.x.device)),
            save,
        )


def stored(p: Pass) -> int:
    """About the bytes of the states, inputs and gates of all nodes."""
    if (columns := _columns.get(p.cell)) is None:
        _columns[p.cell] = columns = _count(p.cell)
    of_nodes, of_edges = columns
    numbers = p.plan.num_nodes * of_nodes + len(p.plan.rows) * of_edges
    return numbers * first_parameter(p.cell, p.x).element_size()


_columns: "WeakKeyDictionary[nn.Module, tuple[int, int]]" = WeakKeyDictionary()


def _count(cell: Cell) -> tuple[int, int]:
    """The numbers per node, and per predecessor, that backward reads."""
    # The input or the result of each product with a weight, whichever is larger.
    products = sum(max(one.shape) for one in cell.parameters() if one.dim() == 2)
    gates = len(getattr(cell, "edge_gates", ()))
    return sum(cell.state_sizes) + products, gates * cell.state_sizes[0]


def _compiled(executor: Executor, p: Pass) -> Executor | None:
    """The executor that recomputes, where the pass is compiled or may be without being asked."""
    if executor.name == "compiled":
        return executor
    may_be = isinstance(executor, InTime) and executor.can_compile(p.cell, p.x)
    return find("compiled") if may_be else None


def _learns(p: Pass) -> bool:
    """Whether a gradient may flow back through a pass."""
    edges = () if p.edges is None else (p.edges,)
    learning = (p.x, *edges, *(p.initial or ()), *p.cell.parameters())
    return any(one.requires_grad for one in learning) and not is_transformed()


def _memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return total_memory()
