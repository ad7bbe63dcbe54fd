"""Noise in a recurrence in training: dropout of states and weights, and zoneout.

All of it is drawn before the pass, so that every executor sees the same noise.

B: samples, N: nodes, S: size of a state.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from structnet.cell.base import Cell
from structnet.cell.frame import autocast_type, first_parameter
from structnet.cell.product import is_recurrent
from structnet.execute.cell_tensors import CellTensors
from structnet.execute.executor import NO_MASKS, Masks
from structnet.topology.plan import Plan


@dataclass(frozen=True)
class Noise:
    """Recurrent dropout, zoneout and weight drop; each a probability from 0 to below 1.

    Arguments:
        recurrent_dropout: units of the predecessors' output are dropped where it enters recurrent
            matrices, the same ones at every node of a sample (Gal and Ghahramani 2016, eq. 7).
        zoneout: units keep the mean of their predecessors' values, and are mixed with it in that
            proportion in evaluation (Krueger et al. 2016, eq. 2-5, who have a rate for memories and
            another for outputs, as 0.5 and 0.05; here it is one). States after the first keep the
            same units.
        weight_drop: entries of recurrent weights are dropped, the same ones at every node (Merity
            et al. 2018, section 3).
    """

    recurrent_dropout: float = 0.0
    zoneout: float = 0.0
    weight_drop: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0 <= (rate := getattr(self, field.name)) < 1:
                raise ValueError(f"option {field.name!r} is from 0 to below 1, got {rate}")

    def needs(self, training: bool) -> frozenset[str]:
        """What an executor has to take, by the names in `FEATURES`."""
        found = {"zoneout": self.zoneout > 0}
        if training:
            found |= {"dropout": self.recurrent_dropout > 0, "weight_drop": self.weight_drop > 0}
        return frozenset(name for name, is_needed in found.items() if is_needed)

    def check(self, cell: Cell) -> None:
        """ValueError for noise that does not fit the cell and its states' sizes."""
        rates = {"recurrent_dropout": self.recurrent_dropout, "weight_drop": self.weight_drop}
        for option, rate in rates.items():
            if rate and not any(is_recurrent(name) for name, _ in cell.named_parameters()):
                raise ValueError(
                    f"option {option!r} is for recurrent matrices, {type(cell).__name__} has none "
                    "(parameters named recurrent...); leave it out for this cell"
                )
        if self.zoneout and len(set(cell.state_sizes[1:])) > 1:
            raise ValueError(
                f"zoneout keeps the same units of every state after the first, whose sizes are "
                f"{tuple(cell.state_sizes[1:])} here; leave it out for this cell"
            )

    def masks(self, cell: Cell, plan: Plan, like: Tensor, training: bool) -> Masks:
        """Masks for a cell's states at the nodes of a plan, on the device of the tensor `like`."""
        if not (self.zoneout or (training and self.recurrent_dropout)):
            return NO_MASKS
        dtype = autocast_type(like.device) or first_parameter(cell, like).dtype
        dropout = zoneout = None
        if training and self.recurrent_dropout:
            kept = 1 - self.recurrent_dropout
            shape = (len(plan.ptr) - 1, cell.state_sizes[0])
            sample = torch.bucketize(plan.order, plan.ptr[1:], right=True)
            drawn = like.new_empty(shape, dtype=dtype).bernoulli_(kept)
            dropout = (drawn / kept)[sample]
        if self.zoneout:
            zoneout = self._zoneout(cell, plan.num_nodes, like, dtype, training)
        return Masks(dropout, zoneout)

    def _zoneout(
        self, cell: Cell, nodes: int, like: Tensor, dtype: torch.dtype, training: bool
    ) -> Tensor:
        sizes = cell.state_sizes
        shape = nodes, sum(sizes[:2])
        if not training:
            return like.new_full((nodes, sum(sizes)), self.zoneout, dtype=dtype)
        # Half the time of `bernoulli_` on a CPU.
        kept = (torch.rand(shape, device=like.device) < self.zoneout).to(dtype)
        output, memory = kept.split((sizes[0], shape[1] - sizes[0]), dim=1)
        return torch.cat([output, *[memory] * (len(sizes) - 1)], dim=1)

    @contextmanager
    def dropped_weights(self, cell: Cell, training: bool) -> Iterator[None]:
        """A context in which entries of the cell's recurrent weights are dropped, in training."""
        if not (training and self.weight_drop):
            yield
            return
        _check_parameters(cell)
        dropped = {
            id(weight): nn.functional.dropout(weight, self.weight_drop)
            for name, weight in cell.named_parameters()
            if is_recurrent(name)
        }
        with CellTensors(cell).replaced(dropped):
            yield


def _check_parameters(cell: nn.Module) -> None:
    """ValueError for recurrent weights whose entries are not parameters."""
    for module in cell.modules():
        computed = [name for name, one in vars(module).items() if isinstance(one, Tensor)]
        for name in (*computed, *getattr(module, "parametrizations", ())):
            # Pruning only masks entries of a parameter, which it calls `..._orig`.
            if is_recurrent(name) and f"{name}_orig" not in module._parameters:
                raise ValueError(
                    f"option 'weight_drop' drops entries of parameters, and {name!r} of "
                    f"{type(module).__name__} is computed from others; drop it where it is computed"
                )
