"""A cell whose weights lie as those of torch's modules do: its layout, its gates, its two biases.

G: gates times hidden size, I: input size, H: hidden size, P: output size.
"""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from structnet.cell.base import Cell
from structnet.cell.library.lstm import LSTM
from structnet.execute.vendor.counterpart import Counterpart

# Called while the cell works, where it is called; the others before a pass.
HOOKS = ("_forward_hooks", "_backward_pre_hooks", "_backward_hooks")


class TorchForm(nn.Module):
    """A cell of one slot with weights as torch's modules have them.

    The weight and bias of the linear `input`, `recurrent` (G, P), `hidden_bias` (G,) and
    `projection` (P, H) are torch's weight_ih, bias_ih, weight_hh, bias_hh and weight_hr. What they
    are for a pass, `current` gives as a cell in its own form, whose weights are views of these: its
    gates are in torch's order, so that nothing is copied, unless `own_order` is asked for.

    A state dict is read in the cell's own form as well.
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
        for kind, path in self.places().items():
            owner, name = self.owner(path)
            owner.register_parameter(name, nn.Parameter(weights[kind].detach().contiguous()))
        # Not a submodule: it has no weights.
        self.equations = (_without_weights(cell, own_order),)
        self.register_load_state_dict_pre_hook(read_own_form)

    def places(self) -> dict[str, str]:
        """Where torch's weights stand here, by kind."""
        biases = {"bias_ih": "input.bias"} if self.num_biases else {}
        biases |= {"bias_hh": "hidden_bias"} if self.num_biases == 2 else {}
        projection = {"weight_hr": "projection"} if self.counterpart.is_projected else {}
        return {"weight_ih": "input.weight", "weight_hh": "recurrent", **biases, **projection}

    def owner(self, path: str) -> tuple[nn.Module, str]:
        """The module that holds a weight, and its name there."""
        if path.startswith("input."):
            return self._modules["input"], path[len("input.") :]
        return self, path

    @property
    def is_plain(self) -> bool:
        """Whether the weights are all there is to the cell: nothing else is called."""
        return self.is_affine and not any(vars(self)[name] for name in HOOKS)

    @property
    def is_affine(self) -> bool:
        """Whether the input layer is its weight and bias, and nothing else."""
        given = vars(self._modules["input"])
        hooks = ("_forward_pre_hooks", *HOOKS)
        return type(self.input) is nn.Linear and not any(given[name] for name in hooks)

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
        owner, name = self.owner(path)
        return name in owner._parameters or hasattr(owner, name)

    def weights(self, given: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Torch's weights by kind for one pass; those `given` are not its own.

        What is put on them (pruning, weight norm) acts here, once. An input layer of another kind
        has none.
        """
        for hook in self._forward_pre_hooks.values():
            hook(self, ())
        found, is_affine = dict(given or {}), self.is_affine
        for kind, path in self.places().items():
            owner, name = self.owner(path)
            if kind not in found and (owner is self or is_affine):
                found[kind] = getattr(owner, name)
        if self.num_biases == 1:
            found["bias_hh"] = self._second_of_one(found["weight_hh"])
        return found

    def start(self) -> dict[str, Tensor]:
        """The weights that a new one has, by torch's kind."""
        made, arguments, options = self.equations[0]._made_with
        device = next((one.device for one in self.parameters()), torch.get_default_device())
        with torch.device(device):
            cell = made(*arguments, **options)
        return self.counterpart.export(dict(cell.named_parameters()))

    @torch.no_grad()
    def merge_biases(self) -> None:
        """Make one bias of two, as a cell has it; the gate inside of a product keeps its own."""
        first, second = self.input._parameters.get("bias"), self._parameters.get("hidden_bias")
        if first is None or second is None:
            return
        shared = 2 * self.hidden_size if self.counterpart.module is nn.GRU else len(second)
        first[:shared] += second[:shared]
        if shared < len(second):
            self.candidate_bias = nn.Parameter(second[shared:].clone())
        del self.hidden_bias
        self.num_biases = 1

    def _second_of_one(self, like: Tensor) -> Tensor:
        if self.counterpart.module is nn.GRU:
            return F.pad(self.candidate_bias, (2 * self.hidden_size, 0))
        return like.new_zeros(len(like))

    def current(self, given: Mapping[str, Tensor] | None = None) -> Cell:
        """The cell with the `weights` of one pass."""
        weights = self.weights(given)
        cell: Any = copy.copy(self.equations[0])
        vars(cell).update({name: vars(self)[name] for name in HOOKS})
        own = {"recurrent": self._in_order(weights["weight_hh"]).T}
        second = weights.get("bias_hh")
        if self.counterpart.module is nn.GRU:
            size = cell.hidden_size
            own["candidate_bias"] = own["recurrent"].new_zeros(size)
            if second is not None:
                # The candidate's second bias is inside the reset gate's product.
                own["candidate_bias"] = second[2 * size :]
                second = F.pad(second[: 2 * size], (0, size))
        if self.counterpart.is_projected:
            own["projection"] = weights["weight_hr"].T
        cell._parameters = own
        cell._modules = {"input": self._input(weights, second)}
        return cell

    def project(self, x: Tensor) -> Tensor:
        return self.current().project(x)

    def forward(self, z: Tensor, *states: Tensor) -> Tensor | tuple[Tensor, ...]:
        return self.current()(z, *states)

    def _input(self, weights: Mapping[str, Tensor], second: Tensor | None) -> nn.Module:
        if self.is_affine:
            first = weights.get("bias_ih")
            bias = first if second is None else second if first is None else first + second
            return _Affine(self._in_order(weights["weight_ih"]), self._in_order(bias))
        if self.own_order:
            raise ValueError(
                "an executor that reads weights takes an input layer that is an nn.Linear without "
                f"hooks, got {type(self.input).__name__}; take executor='batched'"
            )
        return _Shifted(self.input, second)

    def _in_order(self, rows: Any) -> Any:
        """Torch's gates in the order of the cell."""
        if rows is None or not self.own_order:
            return rows
        return self.counterpart.columns(rows)


class _Affine(nn.Module):
    """x W^T + b for the weights of one pass."""

    def __init__(self, weight: Tensor, bias: Tensor | None):
        super().__init__()
        self._parameters = {"weight": weight, "bias": bias}  # pyright: ignore

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class _Shifted(nn.Module):
    """An input layer of the user's, and torch's second bias."""

    def __init__(self, layer: nn.Module, bias: Tensor | None):
        super().__init__()
        self.layer = layer
        self._parameters = {"bias": bias}  # pyright: ignore

    def forward(self, x: Tensor) -> Tensor:
        z = self.layer(x)
        return z if self.bias is None else z + self.bias


def _without_weights(cell: Cell, own_order: bool) -> Cell:
    """A cell as equations, its gates in torch's order unless they are to be in its own."""
    cell._parameters, cell._modules = {}, {}
    if isinstance(cell, LSTM) and not own_order:
        # On one slot a forget gate of the node is the same as one of the edge.
        cell.node_gates, cell.edge_gates, cell.forget = ("i", "f", "u", "o"), (), 0
    return cell


def read_own_form(cell: Any, state_dict: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Put torch's form for a cell's own in a state dict that is being loaded."""
    names = cell.counterpart.own_names
    found = {name: state_dict[prefix + name] for name in names if prefix + name in state_dict}
    # The own form has one bias where this has two, of which none may be computed here.
    if f"{prefix}hidden_bias" in state_dict or "hidden_bias" not in cell._parameters:
        return
    # What does not fit is left for torch to name.
    if _shapes(found) != cell.own_shapes():
        return
    weights = cell.counterpart.export(found)
    for name in found:
        del state_dict[prefix + name]
    for kind, path in cell.places().items():
        state_dict[prefix + path] = weights[kind]


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(weight.shape) for name, weight in weights.items()}
