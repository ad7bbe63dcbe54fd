"""Checks that a trace is the cell's function, for every size and call.

Branches on the number of slots, hooks and torch.no_grad leave no trace in a graph: its results are
compared with those of the cell, on tensors with data.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from structnet.execute.compiled.refusal import reason, refusal
from structnet.execute.compiled.trace import Trace, copy_of

aten = torch.ops.aten

# Sizes that a graph has to be right for.
GUARDED = (*range(2, 34), 10**6)
NODES = 2
SLOTS = (1, 2, 4, 5, 7)
# Of the largest value: the operations are the same ones.
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3}
COARSE = 0.1
LARGE = 1000.0


def check(trace: Trace, cell: nn.Module) -> None:
    """Raises ValueError where a trace is not the cell's function for every size and call."""
    try:
        why = _flaw(trace) or _difference(trace, copy_of(cell))
    except RuntimeError as error:
        raise refusal(cell, reason(error)) from error
    if why:
        raise refusal(cell, why)


def _flaw(trace: Trace) -> str | None:
    """What in a graph depends on the size or the call that was traced."""
    for node in trace.graph.graph.nodes:
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
            return f"it draws random numbers ({node.target})"
        if node.target is aten.copy_.default:
            return "it changes what it is given, such as a buffer"
    env: Any = trace.fake.shape_env
    for size, what in ((trace.z.shape[0], "nodes"), (trace.rows.shape[1], "slots")):
        if isinstance(size, torch.SymInt) and not env.replace(size.node.expr).free_symbols:
            return f"it makes a constant of the number of {what}, as len(z) or nn.GRUCell do"
    for guard in env.guards:
        symbols = guard.expr.free_symbols
        if any(not guard.expr.subs(dict.fromkeys(symbols, n)) for n in GUARDED):
            return f"it does other things for other sizes ({guard.expr})"
    return None


def _difference(trace: Trace, cell: nn.Module) -> str | None:
    """Where graph and cell differ in values or gradients; None where they agree."""
    seeds = torch.Generator().manual_seed(0)
    varies = not isinstance(trace.rows.shape[1], int)
    for slots in SLOTS if varies else (trace.rows.shape[1],):
        given = _draw(trace, cell, slots, seeds)
        # What hooks do to gradients may depend on how large these are.
        for scale, what in ((None, "values"), (1.0, "gradients"), (LARGE, "gradients")):
            theirs = _results(trace, cell, given, scale, by_graph=False)
            ours = _results(trace, cell, given, scale, by_graph=True)
            if not all(map(_alike, ours, theirs)):
                where = f" on {slots} slots" if varies else ""
                return (
                    f"its {what}{where} are not those of its graph, which knows no hooks, no "
                    "torch.no_grad and no branches on the number of slots"
                )
    return None


def _draw(trace: Trace, cell: nn.Module, slots: int, seeds: torch.Generator) -> list[Tensor]:
    """Random inputs of the graph, with parameters near the cell's, as zeros would hide errors."""
    s, learns = trace.signature, {id(one) for one in cell.parameters()}
    own = [*cell.parameters(), *cell.buffers()]
    z = torch.randn(NODES, sum(s.columns), generator=seeds).to(s.device, s.dtype)
    states = [
        torch.randn(NODES, slots, size, generator=seeds).to(s.device, s.state_dtype) * (not s.alone)
        for size in trace.sizes
    ]
    near = [
        one.detach() + torch.randn(one.shape, generator=seeds).to(one) / 10
        if id(one) in learns and one.is_floating_point()
        else one.detach().clone()
        for one in own
    ]
    counts = [torch.rand(NODES, slots, generator=seeds).to(s.device) < 0.7 for _ in trace.counts]
    for one in counts:
        one[:, 0] = True
    return [z, *states, *near, *counts]


def _results(
    trace: Trace, cell: nn.Module, given: Sequence[Tensor], scale: float | None, by_graph: bool
) -> list[Tensor | None]:
    """The new states, and with a `scale` the inputs' gradients of a total times it."""
    learns = scale is not None
    count = 1 + len(trace.sizes)
    learning = [True] * count + trace.learns + [False] * len(trace.counts)
    given = [
        one.clone().requires_grad_(learns and learn and one.is_floating_point())
        for one, learn in zip(given, learning, strict=True)
    ]
    names = [*dict(cell.named_parameters()), *dict(cell.named_buffers())]
    with torch.set_grad_enabled(learns):
        if by_graph:
            with torch.autocast(trace.signature.device.type, enabled=False):
                out = trace.graph(*given)
        else:
            own = count + len(names)
            tensors = dict(zip(names, given[count:own], strict=True))
            out = trace.call(cell, tensors, *given[:count], *given[own:])
    if scale is None:
        return list(out)
    total = sum(one.double().sin().sum() for one in out if one.requires_grad)
    leaves = [one for one in given if one.requires_grad]
    if not isinstance(total, Tensor):
        return list(out)
    return [*out, *torch.autograd.grad(scale * total, leaves, allow_unused=True)]


def _alike(ours: Tensor | None, theirs: Tensor | None) -> bool:
    if ours is None or theirs is None:
        one = theirs if ours is None else ours
        return one is None or not one.any()
    tolerance = TOLERANCE.get(theirs.dtype, COARSE)
    scale = max(1.0, float(theirs.detach().abs().nan_to_num(0).max())) if theirs.numel() else 1.0
    return torch.allclose(
        ours.double(), theirs.double(), rtol=0, atol=tolerance * scale, equal_nan=True
    )
