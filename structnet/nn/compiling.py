"""Layers with executor `auto` that are compiled once they have run long enough."""

import logging
from math import inf
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from structnet.cell.base import Cell
from structnet.cell.call import States
from structnet.cell.hooks import has_hooks, replaced_methods
from structnet.execute.executor import Executor, Pass, Spec, find, reason
from structnet.execute.transform import dispatch_mode
from structnet.topology.schedule import schedule

# The number of levels after which a layer is compiled: level by level, small ones in training took
# 0.3 to 1 ms each, so that they take as long as compiling may, which was up to 20 s. It is a number
# of levels, not a time, so that results do not depend on how fast a machine is.
LEVELS = 50_000
# A cell whose attributes change would be compiled again and again. One that stays has two programs,
# with and without predecessors, and as many again for evaluation where it has dropout in training.
PROGRAMS = 8
log = logging.getLogger("structnet")


class InTime(Executor):
    """Runs a layer level by level, and compiled after LEVELS levels, where it can be."""

    name = "batched"

    def __init__(self, levels: float) -> None:
        self.levels, self.programs = levels, 0
        self.why_not: str | None = None
        # By cell and mode, why a trial was refused.
        self._refused: dict[tuple[nn.Module, bool], str | None] = {}

    def run(self, p: Pass) -> tuple[Tensor, States]:
        self.levels += len(p.plan.steps)
        if self.levels <= LEVELS or self.why_not is not None:
            return find("batched").run(p)
        before = _made()
        try:
            if (why_not := unknown(p.cell)) is not None:
                raise ValueError(why_not)
            found = find("compiled").run(p)
        except (ValueError, RuntimeError) as error:
            self._give_up(str(error).partition("\n")[0])
            return find("batched").run(p)
        self.programs += _made() - before
        if self.programs > PROGRAMS:
            self._give_up(f"{type(p.cell).__name__} was compiled {self.programs} times")
        return found

    def can_compile(self, cell: Cell, x: Tensor) -> bool:
        """Whether a cell can be compiled at once, as a trial shows."""
        if self.why_not is not None or not is_native(x) or unknown(cell) is not None:
            return False
        mode = cell, cell.training
        if mode not in self._refused:
            self._refused[mode] = refusal(cell, x)
        return self._refused[mode] is None

    def _give_up(self, why: str) -> None:
        self.why_not = why
        log.info("executor auto goes on level by level: %s", why)


_layers: "WeakKeyDictionary[nn.Module, InTime]" = WeakKeyDictionary()


def in_time(layer: Any, spec: Spec) -> Executor:
    """What runs a pass of a layer for which `auto` stands for `batched`."""
    assert spec.x is not None and spec.plan is not None
    # A single step is one call of the cell anyway.
    has_levels = len(spec.plan.steps) > 1
    if has_levels and is_native(spec.x) and is_called_alone(spec):
        # A layer with the weights of one pass stands for another.
        layer = vars(layer).get("original", layer)
        if layer not in _layers:
            _layers[layer] = InTime(0 if layer.compiles else -inf)
        return _layers[layer]
    return find("batched")


def compile_now(layer: Any) -> None:
    """Let `auto` compile a layer as if it had run LEVELS levels."""
    layer.compiles = True
    _layers[layer] = InTime(LEVELS)


def is_called_alone(spec: Spec) -> bool:
    """Whether a call runs the cell's own methods alone, and executor `compiled` takes them."""
    if any(has_hooks(one) or replaced_methods(one) for one in spec.cell.modules()):
        return False
    return reason(find("compiled"), spec) is None


def refusal(cell: Cell, x: Tensor) -> str | None:
    """Why a cell can't be compiled; None where two nodes, one after the other, can be.

    Arguments:
        cell: called in the mode that it is in.
        x: any input of its size, in its dtype and on its device.
    """
    arity = cell.arity
    plan = schedule([[0], [1]], num_nodes=2)
    if arity is not None:
        plan = schedule([[-1] * arity, [0] * arity])
    x = x.new_zeros(2, x.shape[1], requires_grad=True)
    try:
        with torch.enable_grad(), torch.random.fork_rng(devices=[]):
            out, _ = find("compiled").run(Pass(cell, plan, x))
            torch.autograd.grad(out.sum(), x, allow_unused=True)
    except (ValueError, RuntimeError) as error:
        return str(error).partition("\n")[0]
    return None


def unknown(cell: nn.Module) -> str | None:
    """Why a user's cell is not compiled without being asked; None where its code is all known.

    A compiled cell knows nothing of globals that change, calls that are counted or random choices.
    """
    # What traces and compiles takes a while to import.
    from structnet.execute.compiled.known import known

    code = known(cell).code
    if code.why_not is None and not code.is_unchanged():
        return f"what the code of {type(cell).__name__} reads has changed"
    return code.why_not


def is_native(x: Tensor) -> bool:
    """Whether x has numbers in memory."""
    is_full = x.dtype in (torch.float32, torch.float64)
    is_there = type(x) in (Tensor, nn.Parameter) and dispatch_mode() is None
    on_cpu = x.device.type == "cpu" == torch.get_default_device().type
    return is_full and is_there and on_cpu


def _made() -> int:
    """The number of programs that were compiled."""
    # What traces and compiles takes a while to import.
    from structnet.execute.compiled import known

    return known.counts.made
