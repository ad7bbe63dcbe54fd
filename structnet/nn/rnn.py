"""RNN: any cell in layers over sequences, called as torch.nn.LSTM is.

B: samples, L: steps, N: steps of all samples, I: input size, D: directions.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from structnet import registry
from structnet.cell.adapt import adapt
from structnet.cell.base import Cell
from structnet.execute.executor import find
from structnet.execute.vendor.counterpart import find_counterpart, options_of
from structnet.nn.recurrence import Recurrence
from structnet.nn.rnn_options import check_options, has_torch_form
from structnet.nn.rnn_pass import run, weights_of
from structnet.nn.stack import Stack
from structnet.nn.torch_weights import shared
from structnet.nn.torch_weights.exchange import (
    arguments,
    flatten,
    make_torch,
    read_torch_names,
    read_weights,
)
from structnet.nn.torch_weights.form import TorchForm

States = tuple[Tensor, ...]


class RNN(nn.Module):
    """Layers of a cell over sequences, in one direction or both, called as torch.nn.LSTM is.

    `cell` is a name, or a callable (input size, hidden size, arity) -> Cell. Behind it stand the
    arguments of torch's modules, in their order; `dropout` acts on what leaves every layer but the
    last, `bias` and `proj_size` are for cells that torch has as well. `options` are those of
    `Recurrence`, and of the cell, where it is named.

    What torch computes as well (lstm, gru with the reset gate after the product, elman) has torch's
    parameters: their names, layout and two `biases`, so that it trains as torch's modules do, step
    by step; with `biases=1` it has those of `Recurrence`. It starts otherwise than torch's: input
    weights by Glorot, orthogonal recurrent matrices, forget gates at 1. It runs in torch's kernels
    where they are faster, unless an `executor` is named or what is put on a cell keeps it from it.

    The input is (L, B, I), (B, L, I) if `batch_first`, or (L, I); a PackedSequence; or a nested
    tensor of (L, I). Padded batches may come with `lengths` (B,): what is behind them is not
    computed, and zero in the output. The output is in the form of the input, with
    D * output size features; beside it stand the final states, each (D * num_layers, B, size),
    (D * num_layers, size) for (L, I): a tuple, or a tensor where the cell has one. Initial states
    `hx` are given in this form. Layers come first in it, in each forward before backward.

    `load_state_dict` takes what torch's module or an RNN of one bias has saved.
    """

    def __init__(
        self,
        cell: Callable[[int, int, int | None], Cell] | str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        biases: int | None = None,
        **options: Any,
    ):
        """ValueError for an option out of range or unknown, KeyError for an unknown cell.

        TypeError where torch has one: a size that is no integer, a bias that is no bool.
        """
        super().__init__()
        sizes = {"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers}
        options = check_options(cell, sizes, bias, batch_first, dropout, proj_size, options)
        if dropout and num_layers == 1:
            warnings.warn(
                f"dropout={dropout} acts between layers, and there is one; take num_layers=2 or "
                "more, or leave it out",
                stacklevel=2,
            )
        self.cell, self.input_size, self.hidden_size = cell, input_size, hidden_size
        self.num_layers, self.batch_first, self.dropout = num_layers, batch_first, float(dropout)
        self.bidirectional, self.bias = bidirectional, bias
        self.proj_size = options.get("projection_size") or 0
        # Torch has none that is as large as the hidden size.
        is_full = self.proj_size >= hidden_size
        self.counterpart = None if is_full else find_counterpart(cell, options)
        self.is_torch_form = has_torch_form(self.counterpart, cell, bias, biases)
        if self.counterpart is not None:
            self.mode = self.counterpart.mode
            if "nonlinearity" in self.counterpart.options:
                self.nonlinearity = self.counterpart.options["nonlinearity"]
        with torch.device(device or torch.get_default_device()):
            self._add_layers(options)
        self.to(dtype=dtype)

    def _add_layers(self, options: dict[str, Any]) -> None:
        topology = registry.topologies.create(self._topology)

        def layer(size: int) -> Recurrence:
            return Recurrence(topology, self.cell, size, self.hidden_size, **options)

        stack = Stack(layer, self.input_size, self.num_layers)
        self.layers, self.output_size = stack.layers, stack.output_size
        if self.is_torch_form:
            for layer in self.layers:
                own_order = find(layer.executor).reads_weights
                layer.cells = nn.ModuleList(
                    adapt(TorchForm(cell, self.counterpart, self.bias, own_order), 1)
                    for cell in layer.cells
                )
        if self.is_torch_form:
            shared.share(self)
        elif self.counterpart is not None:
            self.register_load_state_dict_pre_hook(read_torch_names)

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Tensor | States | None = None,
        *,
        lengths: Sequence[int] | Tensor | None = None,
    ) -> tuple[Any, Tensor | States]:
        """The output and the final states; SizeError for sizes that don't fit."""
        return (run if torch.compiler.is_exporting() else _run_apart)(self, input, hx, lengths)

    def reset_parameters(self) -> None:
        """Put all weights back to what a new RNN has, given the same random state."""
        if self.is_torch_form:
            shared.reset(self)
            return
        for layer in self.layers:
            layer.reset_parameters()

    def load_torch(self, source: nn.Module | Mapping[str, Tensor]) -> None:
        """Take the weights of an nn.LSTM, nn.GRU or nn.RNN, or of its state dict.

        The outputs are the same; with `biases=1` torch's two become one. ValueError where torch has
        no equal of this cell and its options, or sizes differ.
        """
        self.load_state_dict(read_weights(self, source))

    @torch.no_grad()
    def torch_state_dict(self) -> dict[str, Tensor]:
        """The weights by the names that torch's module has; ValueError where there is none."""
        self._settle()
        return {
            f"{kind}_{suffix}": weight.clone()
            for (_, suffix, _), weights in zip(self.places(), weights_of(self), strict=True)
            for kind, weight in weights.items()
        }

    def to_torch(self) -> nn.RNNBase:
        """torch's module with the same weights; ValueError where there is none."""
        return make_torch(self)

    @classmethod
    def from_torch(cls, module: nn.Module) -> "RNN":
        """What computes the same as an nn.LSTM, nn.GRU or nn.RNN; ValueError for others."""
        cell, options = options_of(module)
        rnn = cls(cell, **arguments(module), **options)
        rnn.to(next(module.parameters())).load_torch(module)
        return rnn.train(module.training)

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The weights of every layer and direction, as torch's modules list them."""
        if self.counterpart is None:
            raise AttributeError(f"RNN({self.extra_repr()}) has no weights as torch's modules have")
        self._settle()
        return [list(weights.values()) for weights in weights_of(self)]

    def flatten_parameters(self) -> None:
        """Lay torch's weights side by side on a GPU, as cuDNN wants them."""
        if self.is_torch_form:
            flatten(self)

    def _apply(self, *arguments: Any, **keywords: Any) -> "RNN":
        super()._apply(*arguments, **keywords)
        self.flatten_parameters()
        return self

    def named_modules(self, *arguments: Any, **keywords: Any) -> Iterator[tuple[str, nn.Module]]:
        # Whoever lists parameters goes through modules.
        self._settle()
        return super().named_modules(*arguments, **keywords)

    def extra_repr(self) -> str:
        name = self.cell if isinstance(self.cell, str) else getattr(self.cell, "__name__", "cell")
        defaults = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False,
                    "dropout": 0.0, "bidirectional": False}  # fmt: skip
        values = {option: getattr(self, option) for option in defaults}
        words = [f"{o}={value}" for o, value in values.items() if value != defaults[o]]
        return ", ".join([name, str(self.input_size), str(self.hidden_size), *words])

    def _settle(self) -> None:
        if self.is_torch_form:
            shared.settle(self)

    @property
    def _topology(self) -> str:
        return "bichain" if self.bidirectional else "chain"

    def places(self) -> Iterator[tuple[str, str, Any]]:
        """Where each cell's parameters stand here and in torch's module, and the cell."""
        for depth, layer in enumerate(self.layers):
            for direction, cell in enumerate(layer.cells):
                here = f"layers.{depth}.cells.{direction}."
                yield here, f"l{depth}{'_reverse' * direction}", cell


# Torch's kernels and our sweeps are no graphs of operations that a compiler could take in.
_run_apart = torch.compiler.disable(run)
