"""Modules of torch that compute what a cell computes on chains: their weights and kernels.

G: gates times hidden size, I: input size, H: hidden size, P: output size.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from structnet import registry

KINDS = {nn.LSTM: "lstm", nn.GRU: "gru", nn.RNN: "elman"}
# Options of initialisation, and those that torch has as well.
STARTS = {"forget_bias", "chrono", "init"}
SHARED = {"projection_size", "nonlinearity"}
# Options that a cell needs to compute what torch does.
NEEDED = {"gru": {"reset": "after"}}


@dataclass(frozen=True)
class Counterpart:
    """A module of torch, and how a cell's weights are laid out there.

    `gates` are torch's gates by their place among the cell's; `options` are the module's. `kernel`
    runs sequences.
    """

    module: Callable[..., nn.RNNBase]
    mode: str
    kernel: Callable
    gates: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_projected(self) -> bool:
        return "proj_size" in self.options

    @property
    def kinds(self) -> tuple[str, ...]:
        """The weights of a layer and direction by torch's names."""
        projection = ("weight_hr",) if self.is_projected else ()
        return "weight_ih", "weight_hh", "bias_ih", "bias_hh", *projection

    @property
    def own_names(self) -> set[str]:
        """A cell's names of its weights."""
        candidate = {"candidate_bias"} if self.module is nn.GRU else set()
        projection = {"projection"} if self.is_projected else set()
        return {"input.weight", "input.bias", "recurrent"} | candidate | projection

    def export(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A cell's weights by its names as torch has them, differentiable; the second bias is 0."""
        bias = self._rows(weights["input.bias"])
        second = torch.zeros_like(bias)
        if self.module is nn.GRU:
            # The candidate's second bias is inside the reset gate's product: no sum of both.
            candidate = weights["candidate_bias"]
            second = torch.cat([second[len(candidate) :], candidate])
        found = {
            "weight_ih": self._rows(weights["input.weight"]),
            "weight_hh": self._rows(weights["recurrent"].T),
            "bias_ih": bias,
            "bias_hh": second,
        }
        if self.is_projected:
            found["weight_hr"] = weights["projection"].T.contiguous()
        return found

    def adopt(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The cell's parameters of one layer and direction of torch's; zero biases if it has none.

        A cell has one bias where torch adds two.
        """
        weight = weights["weight_ih"]
        bias = weights.get("bias_ih", weight.new_zeros(len(weight)))
        second = weights.get("bias_hh", torch.zeros_like(bias))
        found = {"input.weight": self.columns(weight)}
        if self.module is nn.GRU:
            size = len(bias) // 3
            found["candidate_bias"] = second[2 * size :]
            second = torch.cat([second[: 2 * size], torch.zeros_like(second[2 * size :])])
        found["input.bias"] = self.columns(bias + second)
        found["recurrent"] = self.columns(weights["weight_hh"]).T.contiguous()
        if "weight_hr" in weights:
            found["projection"] = weights["weight_hr"].T.contiguous()
        return found

    def form(self, states: Sequence[Tensor]) -> Any:
        """States as the module takes them."""
        return tuple(states) if self.module is nn.LSTM else states[0]

    def lowers(self, is_padded: bool) -> tuple[bool, ...]:
        """Which states the module has in autocast's type; the output is as the first of them."""
        if self.module is nn.LSTM:
            return (True, False) if self.is_projected else (is_padded, is_padded)
        return (self.module is nn.RNN,)

    def _rows(self, ours: Tensor) -> Tensor:
        return ours.unflatten(0, (len(self.gates), -1))[list(self.gates)].flatten(0, 1)

    def columns(self, theirs: Tensor) -> Tensor:
        """Torch's gates, in rows of a weight or a bias, in the order of the cell's."""
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
        own = {"proj_size": size} if size else {}
        return Counterpart(nn.LSTM, "LSTM", torch.lstm, (0, 3, 2, 1), own)
    if cell == "gru":
        return Counterpart(nn.GRU, "GRU", torch.gru, (0, 1, 2))
    own = {"nonlinearity": options.get("nonlinearity", "tanh")}
    if own["nonlinearity"] == "relu":
        return Counterpart(nn.RNN, "RNN_RELU", torch.rnn_relu, (0,), own)
    return Counterpart(nn.RNN, "RNN_TANH", torch.rnn_tanh, (0,), own)


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
