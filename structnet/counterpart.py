"""Modules of torch that compute what a cell computes on chains: their weights and their kernels.

B: samples, N: steps of all, I: input size, H: hidden size, P: output size, D: directions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from structnet import registry
from structnet.sequences import Sequences, invert, pack_order

KINDS = {nn.LSTM: "lstm", nn.GRU: "gru", nn.RNN: "elman"}
# Options that say where weights start, and those that torch has as well.
STARTS = {"forget_bias", "chrono", "init"}
SHARED = {"projection_size", "nonlinearity"}
# Options without which a cell is not what torch computes.
NEEDED = {"gru": {"reset": "after"}}


@dataclass(frozen=True)
class Counterpart:
    """A module of torch, and how a cell's weights are laid out there.

    `gates` are torch's gates by their place among the cell's; `options` are the module's.
    """

    module: Callable[..., nn.RNNBase]
    kernel: Callable
    gates: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The weights of a layer and direction by torch's names."""
        projection = ("weight_hr",) if "proj_size" in self.options else ()
        return "weight_ih", "weight_hh", "bias_ih", "bias_hh", *projection

    def is_faster(self, sequences: Sequences) -> bool:
        """Whether `run` is expected to take less time than executors do.

        Training an LSTM on a CPU it takes 1.4 times theirs for ragged sequences, 0.7 times for
        equally long ones.
        """
        # For projections torch has nothing fast on a CPU, and warns of it.
        return sequences.data.is_cuda or (
            sequences.are_equally_long and "proj_size" not in self.options
        )

    def export(self, cell: Any) -> dict[str, Tensor]:
        """A cell's weights as torch has them, differentiable; torch's second bias is zero."""
        bias = self._rows(cell.input.bias)
        second = torch.zeros_like(bias)
        if self.module is nn.GRU:
            # The candidate's second bias is inside the reset gate's product: no sum of both.
            second = torch.cat([second[cell.hidden_size :], cell.candidate_bias])
        weights = {
            "weight_ih": self._rows(cell.input.weight),
            "weight_hh": self._rows(cell.recurrent.T),
            "bias_ih": bias,
            "bias_hh": second,
        }
        if "proj_size" in self.options:
            weights["weight_hr"] = cell.projection.T
        return weights

    def adopt(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The cell's parameters of one layer and direction of torch's; zero biases if it has none.

        A cell has one bias where torch adds two.
        """
        weight = weights["weight_ih"]
        bias = weights.get("bias_ih", weight.new_zeros(len(weight)))
        second = weights.get("bias_hh", torch.zeros_like(bias))
        found = {"input.weight": self._columns(weight)}
        if self.module is nn.GRU:
            size = len(bias) // 3
            found["candidate_bias"] = second[2 * size :]
            second = torch.cat([second[: 2 * size], torch.zeros_like(second[2 * size :])])
        found["input.bias"] = self._columns(bias + second)
        found["recurrent"] = self._columns(weights["weight_hh"]).T.contiguous()
        if "weight_hr" in weights:
            found["projection"] = weights["weight_hr"].T.contiguous()
        return found

    def run(
        self,
        cells: Sequence[nn.Module],
        sequences: Sequences,
        initial: Sequence[Tensor],
        num_layers: int,
        dropout: float,
        training: bool,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """torch's kernel: the output (N, D * H) and final states, each (D * num_layers, B, H).

        `cells` go from layer to layer, and within one from direction to direction.
        """
        weights = [weight for cell in cells for weight in self.export(cell).values()]
        stack = (weights, True, num_layers, dropout, training, len(cells) > num_layers)
        data, lengths = sequences.data, sequences.lengths
        if sequences.are_equally_long:
            x = data.unflatten(0, (len(lengths), lengths[0]))
            h, *states = self.kernel(x, self._form(initial), *stack, True)
            return h.flatten(0, 1), tuple(states)
        order = torch.tensor(lengths).argsort(descending=True, stable=True)
        index, batch_sizes = pack_order(lengths, order)
        index, inverse, order, back = (
            each.to(data.device) for each in (index, invert(index), order, invert(order))
        )
        initial = [state.index_select(1, order) for state in initial]
        x = data.index_select(0, index)
        h, *states = self.kernel(x, batch_sizes, self._form(initial), *stack)
        return h.index_select(0, inverse), tuple(state.index_select(1, back) for state in states)

    def _form(self, initial: Sequence[Tensor]) -> Any:
        return tuple(initial) if self.module is nn.LSTM else initial[0]

    def _rows(self, ours: Tensor) -> Tensor:
        return ours.unflatten(0, (len(self.gates), -1))[list(self.gates)].flatten(0, 1)

    def _columns(self, theirs: Tensor) -> Tensor:
        places = sorted(range(len(self.gates)), key=self.gates.__getitem__)
        return theirs.unflatten(0, (len(self.gates), -1))[places].flatten(0, 1)


def find_counterpart(cell: Any, options: Mapping[str, Any]) -> Counterpart | None:
    """The module that computes what a cell with these options computes; None if torch has none."""
    if cell not in KINDS.values():
        return None
    known = registry.cells.options(cell)
    for name, (_, default) in known.items():
        if name not in STARTS | SHARED:
            needed = NEEDED.get(cell, {}).get(name, default)
            if options.get(name, default) != needed:
                return None
    if cell == "lstm":
        size = options.get("projection_size")
        return Counterpart(nn.LSTM, torch.lstm, (0, 3, 2, 1), {"proj_size": size} if size else {})
    if cell == "gru":
        return Counterpart(nn.GRU, torch.gru, (0, 1, 2))
    kind = options.get("nonlinearity", "tanh")
    kernel = torch.rnn_relu if kind == "relu" else torch.rnn_tanh
    return Counterpart(nn.RNN, kernel, (0,), {"nonlinearity": kind})


def options_of(module: nn.Module) -> tuple[str, dict[str, Any]]:
    """The cell that computes what a module of torch computes, and its options."""
    if type(module) not in KINDS:
        names = [f"torch.nn.{kind.__name__}" for kind in KINDS]
        raise ValueError(f"weights come from one of {names}, got {type(module).__name__}")
    cell = KINDS[type(module)]
    if isinstance(module, nn.LSTM):
        return cell, {"projection_size": module.proj_size} if module.proj_size else {}
    if isinstance(module, nn.RNN):
        return cell, {"nonlinearity": module.nonlinearity}
    known = registry.cells.options(cell)
    return cell, {name: value for name, value in NEEDED[cell].items() if name in known}
