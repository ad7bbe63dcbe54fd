"""What a pass stores for backward where the layer leaves it open (save=auto)."""

import logging
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import nn

from structnet.cell.base import Cell
from structnet.cell.frame import first_parameter
from structnet.execute.executor import Executor, Spec, find, reason
from structnet.execute.transform import is_transformed
from structnet.nn.compiling import InTime, is_native, unknown
from structnet.nn.option_checks import excludes_recomputing
from structnet.system.memory import as_bytes, total_memory

# The part of the machine's memory that what one layer stores may take. It is a part of all memory,
# not of what is free, so that results do not depend on what else runs.
SHARE = 0.5
# Peak memory of a training step by what `stored` counts: it was 1.9 for an LSTM on a graph of
# 100,000 nodes, compiled, and 2.7 level by level.
PEAK = 2.5
log = logging.getLogger("structnet")


def fitting(layer: Any, spec: Spec, executor: Executor) -> tuple[Executor, str]:
    """What runs a pass, and what it stores for backward.

    All that backward needs (gates), unless this would take more than SHARE of the memory and
    backward will come: then recompute, where the cell can be compiled, else windows.
    """
    assert spec.x is not None
    if not torch.is_grad_enabled():
        return executor, "gates"
    needed = PEAK * stored(spec) * len(layer.cells)
    if needed <= SHARE * _memory(spec.x.device) or not _learns(spec):
        return executor, "gates"
    if excludes_recomputing(spec.cell, spec.needs):
        return executor, "gates"
    for other, save in ((_compiled(executor, spec), "recompute"), (executor, "windows")):
        if other is not None and reason(other, Spec(spec.cell, spec.needs | {save})) is None:
            _say(layer, spec, needed, save)
            return other, save
    return executor, "gates"


_told: "WeakSet[nn.Module]" = WeakSet()


def _say(layer: nn.Module, spec: Spec, needed: float, save: str) -> None:
    """Say once that a layer computes parts of its passes again in backward."""
    assert spec.plan is not None and spec.x is not None
    if layer not in _told:
        _told.add(layer)
        log.warning(
            "a training step of a layer on %s nodes would take about %s of %s of memory: "
            "save=%s stores less, and computes the rest again (save=gates does not)",
            f"{spec.plan.num_nodes:,}",
            as_bytes(int(needed)),
            as_bytes(_memory(spec.x.device)),
            save,
        )


def stored(spec: Spec) -> int:
    """About the bytes of the states, inputs and gates of all nodes."""
    assert spec.plan is not None and spec.x is not None
    if (columns := _columns.get(spec.cell)) is None:
        _columns[spec.cell] = columns = _count(spec.cell)
    of_nodes, of_edges = columns
    numbers = spec.plan.num_nodes * of_nodes + len(spec.plan.rows) * of_edges
    return numbers * first_parameter(spec.cell, spec.x).element_size()


_columns: "WeakKeyDictionary[nn.Module, tuple[int, int]]" = WeakKeyDictionary()


def _count(cell: Cell) -> tuple[int, int]:
    """The numbers per node, and per predecessor, that backward reads."""
    # The input or the result of each product with a weight, whichever is larger.
    products = sum(max(one.shape) for one in cell.parameters() if one.dim() == 2)
    gates = len(getattr(cell, "edge_gates", ()))
    return sum(cell.state_sizes) + products, gates * cell.state_sizes[0]


def _compiled(executor: Executor, spec: Spec) -> Executor | None:
    """The executor that recomputes, where the pass is compiled or may be without being asked."""
    if executor.name == "compiled":
        return executor
    assert spec.x is not None
    may_be = isinstance(executor, InTime) and is_native(spec.x) and unknown(spec.cell) is None
    return find("compiled") if may_be else None


def _learns(spec: Spec) -> bool:
    assert spec.x is not None
    learning = (spec.x, *spec.cell.parameters())
    return any(one.requires_grad for one in learning) and not is_transformed()


def _memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return total_memory()
