"""A cell with weights in the layout of torch's modules: their gate order and their two biases.

G: gates times hidden size, I: input size, H: hidden size, P: output size.
"""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from structnet.cell.base import Cell
from structnet.cell.hooks import KINDS
from structnet.cell.library.lstm import LSTM
from structnet.execute.torch_layer.counterpart import Counterpart

# Hooks that run when the cell is called; forward pre-hooks run once before a pass.
HOOKS = KINDS[1:]


class TorchForm(nn.Module):
    """A cell of one predecessor with the weights of torch's modules.

    The weight and bias of the linear `input`, `recurrent` (G, P), `hidden_bias` (G,) and
    `projection` (P, H) are torch's weight_ih, bias_ih, weight_hh, bias_hh and weight_hr. For a
    pass, `current` returns a cell in its own form, whose weights are views of these. A state dict
    may have either form.

    Arguments:
        cell: the cell whose weights are taken.
        counterpart: torch's module that computes the same.
        bias: whether there are biases.
        own_order: whether `current` has the gates in the cell's order, which copies them, or in
            torch's.
    """

    def __init__(self, cell: Cell, counterpart: Counterpart, bias: bool, own_order: bool = False):
        super().__init__()
        weights = counterpart.export(dict(cell.named_parameters()))
        size, inputs = weights["weight_ih"].shape
        self.counterpart, self.own_order = counterpart, own_order
        self.num_biases = 2 if bias else 0
        self.state_sizes, self.hidden_size = cell.state_sizes, cell.hidden_size
        self.output_size = cell.state_sizes[0]
        self.input: Any = nn.Linear(inputs, size, bias=bias, device="meta")
        for kind, path in self.paths().items():
            owner, name = self.owner(path)
            owner.register_parameter(name, nn.Parameter(weights[kind].detach().contiguous()))
        # In a tuple, so that it is not a submodule: it has no weights.
        self.equations = (_without_weights(cell, own_order),)
        self.register_load_state_dict_pre_hook(read_own_form)

    def paths(self) -> dict[str, str]:
        """The paths of torch's weights in this module, by kind."""
        biases = {"bias_ih": "input.bias"} if self.num_biases else {}
        biases |= {"bias_hh": "hidden_bias"} if self.num_biases == 2 else {}
        projection = {"weight_hr": "projection"} if self.counterpart.is_projected else {}
        return {"weight_ih": "input.weight", "weight_hh": "recurrent", **biases, **projection}

    def owner(self, path: str) -> tuple[nn.Module, str]:
        """The module that has the weight of a path, and its name there."""
        if path.startswith("input."):
            layer: Any = self._modules["input"]
            return layer, path[len("input.") :]
        return self, path

    @property
    def is_plain(self) -> bool:
        """Whether the weights are all that counts: no hooks, and no input layer of another kind."""
        return self.has_linear_input and not any(vars(self)[name] for name in HOOKS)

    @property
    def has_linear_input(self) -> bool:
        """Whether the input layer is an nn.Linear without hooks."""
        attributes = vars(self._modules["input"])
        return type(self.input) is nn.Linear and not any(attributes[name] for name in KINDS)

    def own_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the weights in the cell's own form."""
        cell = self.equations[0]
        rows = len(self.counterpart.gates) * cell.hidden_size
        shapes = {
            "input.weight": (rows, cell.input_size),
            "input.bias": (rows,),
            "recurrent": (cell.output_size, rows),
        }
        if self.counterpart.module is nn.GRU:
            shapes["candidate_bias"] = (cell.hidden_size,)
        if self.counterpart.is_projected:
            shapes["projection"] = (cell.hidden_size, cell.output_size)
        return shapes

    def has(self, path: str) -> bool:
        """Whether there is a weight at a path, be it a parameter or computed."""
        owner, name = self.owner(path)
        return name in owner._parameters or hasattr(owner, name)

    def weights(self, others: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Torch's weights by kind for one pass.

        Pruning and weight norm compute them here, once per pass. An input layer that is not linear
        has none.

        Arguments:
            others: weights by kind that are used in place of the cell's.
        """
        pre_hooks: Any = self._forward_pre_hooks
        for hook in pre_hooks.values():
            hook(self, ())
        found, has_linear_input = dict(others or {}), self.has_linear_input
        for kind, path in self.paths().items():
            owner, name = self.owner(path)
            if kind not in found and (owner is self or has_linear_input):
                found[kind] = getattr(owner, name)
        if self.num_biases == 1:
            found["bias_hh"] = self._second_of_one(found["weight_hh"])
        return found

    def start(self) -> dict[str, Tensor]:
        """The weights of a new cell, by torch's kind."""
        equations: Any = self.equations[0]
        made, arguments, options = equations._made_with
        device = next((one.device for one in self.parameters()), torch.get_default_device())
        with torch.device(device):
            cell = made(*arguments, **options)
        return self.counterpart.export(dict(cell.named_parameters()))

    @torch.no_grad()
    def merge_biases(self) -> None:
        """Add the second bias to the first, as a cell has one.

        That of a GRU's candidate stays apart, as it is multiplied by the reset gate.
        """
        first, second = self.input._parameters.get("bias"), self._parameters.get("hidden_bias")
        if first is None or second is None:
            return
        added = 2 * self.hidden_size if self.counterpart.module is nn.GRU else len(second)
        first[:added] += second[:added]
        if added < len(second):
            self.candidate_bias = nn.Parameter(second[added:].clone())
        del self.hidden_bias
        self.num_biases = 1

    def _second_of_one(self, like: Tensor) -> Tensor:
        if self.counterpart.module is nn.GRU:
            return F.pad(self.candidate_bias, (2 * self.hidden_size, 0))
        return like.new_zeros(len(like))

    def current(self, others: Mapping[str, Tensor] | None = None) -> Cell:
        """The cell with the `weights` of one pass."""
        weights = self.weights(others)
        cell: Any = copy.copy(self.equations[0])
        vars(cell).update({name: vars(self)[name] for name in HOOKS})
        own = {"recurrent": self._in_order(weights["weight_hh"]).T}
        second = weights.get("bias_hh")
        if self.counterpart.module is nn.GRU:
            size = cell.hidden_size
            own["candidate_bias"] = own["recurrent"].new_zeros(size)
            if second is not None:
                # The candidate's second bias is multiplied by the reset gate.
                own["candidate_bias"] = second[2 * size :]
                second = F.pad(second[: 2 * size], (0, size))
        if self.counterpart.is_projected:
            own["projection"] = weights["weight_hr"].T
        cell._parameters = own
        cell._modules = {"input": self._current_input(weights, second)}
        return cell

    def project(self, x: Tensor) -> Tensor:
        return self.current().project(x)

    def forward(self, z: Tensor, *states: Tensor) -> Tensor | tuple[Tensor, ...]:
        return self.current()(z, *states)

    def _current_input(self, weights: Mapping[str, Tensor], second: Tensor | None) -> nn.Module:
        """The input layer of one pass, `second` being torch's second bias."""
        if self.has_linear_input:
            first = weights.get("bias_ih")
            bias = first if second is None else second if first is None else first + second
            return _Linear(self._in_order(weights["weight_ih"]), self._in_order(bias))
        if self.own_order:
            raise ValueError(
                "an executor that reads weights takes an input layer that is an nn.Linear without "
                f"hooks, got {type(self.input).__name__}; take executor='batched'"
            )
        return _Biased(self.input, second)

    def _in_order(self, rows: Any) -> Any:
        """Rows by gate, in the order of gates that the cell of a pass has."""
        if rows is None or not self.own_order:
            return rows
        return self.counterpart.columns(rows)


class _Linear(nn.Module):
    """x W^T + b with the weights of one pass, which are not parameters."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None):
        super().__init__()
        self._parameters = {"weight": weight, "bias": bias}  # pyright: ignore

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class _Biased(nn.Module):
    """An input layer of the user's, plus torch's second bias."""

    bias: Tensor | None

    def __init__(self, layer: nn.Module, bias: Tensor | None):
        super().__init__()
        self.layer = layer
        self._parameters = {"bias": bias}  # pyright: ignore

    def forward(self, x: Tensor) -> Tensor:
        z = self.layer(x)
        return z if self.bias is None else z + self.bias


def _without_weights(cell: Cell, own_order: bool) -> Cell:
    """The cell without its parameters, its gates in torch's order or its own."""
    cell._parameters, cell._modules = {}, {}
    if isinstance(cell, LSTM) and not own_order:
        # With one predecessor a forget gate of the edge is the same as one of the node.
        cell.node_gates, cell.edge_gates, cell.forget = ("i", "f", "u", "o"), (), 0
    return cell


def read_own_form(cell: Any, state_dict: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """In a state dict that is being loaded, replace a cell's own form by torch's."""
    names = cell.counterpart.own_names
    found = {name: state_dict[prefix + name] for name in names if prefix + name in state_dict}
    # The cell's form has one bias for torch's two, both of which have to be parameters here.
    if f"{prefix}hidden_bias" in state_dict or "hidden_bias" not in cell._parameters:
        return
    # torch reports weights that don't fit.
    if _shapes(found) != cell.own_shapes():
        return
    weights = cell.counterpart.export(found)
    for name in found:
        del state_dict[prefix + name]
    for kind, path in cell.paths().items():
        state_dict[prefix + path] = weights[kind]


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(weight.shape) for name, weight in weights.items()}
