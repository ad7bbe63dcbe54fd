"""Noise in a recurrence while it trains: dropout of states and weights, and zoneout.

All of it is drawn before the sweep and travels with the nodes' inputs, so that every executor sees
the same noise, and none of them has to know of it.

B: samples, N: nodes, K: slots, G: columns of z.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from structnet.cell.product import masking, no_predecessors
from structnet.cell.slots import mean
from structnet.topology.plan import Plan

States = tuple[Tensor, ...]


class Noise:
    """Recurrent dropout, zoneout and weight drop; each a probability.

    `recurrent_dropout`: units of the predecessors' output are dropped where it enters recurrent
    matrices, the same ones at every node of a sample (Gal and Ghahramani 2016, eq. 7). `zoneout`:
    units keep the mean of their predecessors' values, and are mixed so where the net does not train
    (Krueger et al. 2016, eq. 2-5, who have a rate for memories and another for outputs, as 0.5 and
    0.05; here it is one); states after the first keep the same units. `weight_drop`:
    entries of recurrent weights are dropped, the same ones at every node (Merity et al. 2018,
    section 3).
    """

    def __init__(self, recurrent_dropout: float, zoneout: float, weight_drop: float):
        self.recurrent_dropout, self.zoneout = recurrent_dropout, zoneout
        self.weight_drop = weight_drop
        for name, rate in vars(self).items():
            if not 0 <= rate < 1:
                raise ValueError(f"option {name!r} is from 0 to below 1, got {rate}")

    def check(self, cell: nn.Module, sizes: Sequence[int]) -> None:
        """ValueError for noise that does not fit the cell and its states' sizes."""
        rates = {"recurrent_dropout": self.recurrent_dropout, "weight_drop": self.weight_drop}
        names = [name for name, _ in cell.named_parameters() if _is_recurrent(name)]
        for option, rate in rates.items():
            if rate and not names:
                raise ValueError(
                    f"option {option!r} is for recurrent matrices, {type(cell).__name__} has none "
                    "(parameters named recurrent...); leave it out for this cell"
                )
        if self.zoneout and len(set(sizes[1:])) > 1:
            raise ValueError(
                f"zoneout keeps the same units of every state after the first, whose sizes are "
                f"{tuple(sizes[1:])} here; leave it out for this cell"
            )

    def run(
        self,
        run: Callable,
        cell: nn.Module,
        plan: Plan,
        z: Tensor,
        initial: States | None,
        training: bool,
        edges: Tensor | None = None,
    ) -> States:
        """What `run` gives, with noise."""
        if edges is not None:
            run = partial(run, edges=edges)
        if self.zoneout or (training and self.recurrent_dropout):
            dropout = self.recurrent_dropout if training else 0.0
            masks = self._masks(cell, plan, z, dropout, training)
            cell = _Noisy(cell, z.shape[1], bool(dropout), self.zoneout)
            z = torch.cat([z, *masks], dim=1)
        if not (training and self.weight_drop):
            return run(cell, plan, z, initial)
        _refuse_computed(cell)
        call = _Call(run, cell)
        dropped = {
            name: nn.functional.dropout(weight, self.weight_drop)
            for name, weight in call.named_parameters()
            if _is_recurrent(name)
        }
        return torch.func.functional_call(call, dropped, (plan, z, initial))

    def _masks(
        self, cell: Any, plan: Plan, z: Tensor, dropout: float, training: bool
    ) -> list[Tensor]:
        """Columns for z, by rank: what to multiply the output read with, and what to keep."""
        masks = []
        if dropout:
            shape = (len(plan.ptr) - 1, cell.state_sizes[0])
            sample = torch.bucketize(plan.order, plan.ptr[1:], right=True)
            masks.append((z.new_empty(shape).bernoulli_(1 - dropout) / (1 - dropout))[sample])
        if self.zoneout:
            shape = len(z), sum(cell.state_sizes[:2])
            # Half the time of `bernoulli_` on a CPU.
            kept = torch.rand(shape, device=z.device) < self.zoneout if training else None
            masks.append(z.new_full(shape, self.zoneout) if kept is None else kept.to(z.dtype))
        return masks


class _Noisy(nn.Module):
    """A cell whose z carries masks behind its own columns."""

    def __init__(self, cell: Any, size: int, dropout: bool, zoneout: float):
        super().__init__()
        self.cell, self.state_sizes = cell, cell.state_sizes
        output, memory = self.state_sizes[0], sum(self.state_sizes[1:2])
        self.columns = (size, output * dropout, *((output, memory) if zoneout else (0, 0)))
        self.dropout, self.zoneout = dropout, zoneout

    def forward(self, z: Tensor, *states: Tensor) -> States:
        z, *masks = z.split(self.columns, dim=1)
        # No gradient is to be computed for noise.
        dropped, *kept = (mask.detach() for mask in masks)
        with masking(dropped) if self.dropout else nullcontext():
            out = self.cell(z, *states)
        out = (out,) if isinstance(out, Tensor) else tuple(out)
        if not self.zoneout:
            return out
        kept += kept[1:] * (len(out) - 2)
        return tuple(map(_keep, out, states, kept))


def _refuse_computed(cell: nn.Module) -> None:
    """ValueError for recurrent weights of which the parameters are not the entries."""
    for module in cell.modules():
        computed = [name for name, one in vars(module).items() if isinstance(one, Tensor)]
        for name in (*computed, *getattr(module, "parametrizations", ())):
            # Pruning's are those of the parameter, some of them hidden.
            if _is_recurrent(name) and f"{name}_orig" not in module._parameters:
                raise ValueError(
                    f"option 'weight_drop' drops entries of parameters, and {name!r} of "
                    f"{type(module).__name__} is computed from others; drop it where it is computed"
                )


def _is_recurrent(parameter: str) -> bool:
    return parameter.split(".")[-1].startswith("recurrent")


def _keep(new: Tensor, old: Tensor, mask: Tensor) -> Tensor:
    """The units of a mask from the mean of the predecessors' values, which may be none."""
    mask = mask.to(new.dtype)
    if no_predecessors():
        return new * (1 - mask)
    return torch.lerp(new, mean(old).to(new.dtype), mask)


class _Call(nn.Module):
    """An executor's call as a module, so that the cell's weights can be given with it."""

    def __init__(self, run: Callable, cell: nn.Module):
        super().__init__()
        self.run, self.cell = run, cell

    def forward(self, plan: Plan, z: Tensor, initial: States | None) -> States:
        return self.run(self.cell, plan, z, initial)
