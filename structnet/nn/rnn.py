"""RNN: any cell in layers over sequences, called like torch.nn.LSTM.

B: samples, L: steps, I: input size, D: directions.
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
from structnet.execute.torch_layer.counterpart import find_counterpart, options_of
from structnet.nn.recurrence import Recurrence
from structnet.nn.rnn_options import check_options, has_torch_form
from structnet.nn.rnn_pass import run, weights_of
from structnet.nn.stack import Stack
from structnet.nn.stepper import Stepper
from structnet.nn.torch_weights import tied
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
    """Layers of a cell over sequences, in one direction or both, called like torch.nn.LSTM.

    Cells that torch has as well (lstm, elman, and gru with reset="after") have torch's parameters
    by default: their names, layout and two biases. Their initial values differ from torch's: Glorot
    for weights of the input, orthogonal recurrent matrices, forget gates at 1. With executor auto
    they run in torch's kernels where these are faster, unless hooks or computed weights prevent it.
    `load_state_dict` takes the state dict of torch's module, or of an RNN with one bias.

    Arguments:
        cell: a name, or a callable (input size, hidden size, arity) -> Cell.
        input_size: the size of a step's input (I).
        hidden_size: the size of the cell's states.
        num_layers: the number of layers.
        bias: whether there are biases; without is for cells that torch has.
        batch_first: whether padded batches are (B, L, I), not (L, B, I).
        dropout: the probability with which an output of a layer is dropped before the next layer.
        bidirectional: whether every layer has a cell for each direction.
        proj_size: the size that the output of cell lstm is projected to; 0 for no projection.
        device: where the weights are made; torch's default device where None.
        dtype: the dtype of the weights; torch's default where None.
        biases: 2 as torch has them, or 1 as `Recurrence` has; None is 2 where torch has the cell.
        options: those of `Recurrence`, and of the cell if it is given by name.

    >>> rnn = sn.RNN("gru", 16, 32, num_layers=2)
    >>> y, h = rnn(torch.randn(5, 3, 16))  # 5 steps of 3 sequences
    >>> y.shape, h.shape
    (torch.Size([5, 3, 32]), torch.Size([2, 3, 32]))
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

        TypeError where torch raises one: a size that is not an int, a bias that is not a bool.
        """
        super().__init__()
        sizes = {"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers}
        options = check_options(cell, sizes, bias, batch_first, dropout, proj_size, options)
        if dropout and num_layers == 1:
            warnings.warn(
                f"dropout={dropout} acts between layers, and there is only one; take num_layers=2 "
                "or more, or leave it out",
                stacklevel=2,
            )
        self.cell, self.input_size, self.hidden_size = cell, input_size, hidden_size
        self.num_layers, self.batch_first, self.dropout = num_layers, batch_first, float(dropout)
        self.bidirectional, self.bias = bidirectional, bias
        self.proj_size = options.get("projection_size") or 0
        # Torch has no projection to the hidden size itself.
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
            assert self.counterpart is not None
            for recurrence in self.layers:
                own_order = find(recurrence.executor).reads_weights
                recurrence.cells = nn.ModuleList(
                    adapt(TorchForm(cell, self.counterpart, self.bias, own_order), 1)
                    for cell in recurrence.cells
                )
            tied.tie(self)
        elif self.counterpart is not None:
            self.register_load_state_dict_pre_hook(read_torch_names)

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Tensor | States | None = None,
        *,
        lengths: Sequence[int] | Tensor | None = None,
        episode_starts: Any = None,
    ) -> tuple[Any, Tensor | States]:
        """The output, in the form of the input, and the final states.

        Arguments:
            input: (L, B, I), (B, L, I) if `batch_first`, or (L, I); a PackedSequence; or a nested
                tensor of (L, I). The output has D * output size features.
            hx: the initial states, one tensor (D * num_layers, B, size) per state of the cell,
                layer by layer, forward before backward; (D * num_layers, size) for an input (L, I);
                a single tensor if the cell has one state. Zeros by default. The final states have
                the same form.
            lengths: the lengths (B,) of the sequences of a padded batch. Steps behind them are not
                computed, and zero in the output.
            episode_starts: 1 or True at every step before which the states of its sample are reset
                to zero, else 0; of the shape of the input without its features. Samples are cut
                there into chains that run side by side, each a sample of its own to `truncate` and
                dropout; the final states are those of the last chains. For one direction, and for
                padded and unbatched inputs.

        SizeError for sizes that don't fit, ValueError for episode_starts of other values or inputs.
        """
        call = run if torch.compiler.is_exporting() else _run_untraced
        return call(self, input, hx, lengths, episode_starts)

    def stepper(self, batch: int = 1) -> Stepper:
        """The RNN fed one step (batch, input_size) at a time; ValueError if it is bidirectional.

        Each step returns the output (batch, output size). Its state is what `hx` takes.
        """
        return Stepper.of_rnn(self, batch)

    def reset_parameters(self) -> None:
        """Reset all weights to those of a new RNN, given the same random state."""
        if self.is_torch_form:
            tied.reset(self)
            return
        for layer in self.layers:
            layer.reset_parameters()

    def load_torch(self, source: nn.Module | Mapping[str, Tensor]) -> None:
        """Load the weights of an nn.LSTM, nn.GRU or nn.RNN, or of its state dict.

        The outputs are then the same; with `biases=1` torch's two are added. ValueError if torch
        has no module that computes the same, or if sizes differ.
        """
        self.load_state_dict(read_weights(self, source))

    @torch.no_grad()
    def torch_state_dict(self) -> dict[str, Tensor]:
        """The state dict of torch's module with the same weights; ValueError if there is none."""
        self._synchronise()
        return {
            f"{kind}_{suffix}": weight.clone()
            for (_, suffix, _), weights in zip(self.named_cells(), weights_of(self), strict=True)
            for kind, weight in weights.items()
        }

    def to_torch(self) -> nn.RNNBase:
        """Torch's module with the same weights; ValueError if there is none."""
        return make_torch(self)

    @classmethod
    def from_torch(cls, module: nn.Module) -> "RNN":
        """An RNN with the weights of an nn.LSTM, nn.GRU or nn.RNN; ValueError for other modules."""
        cell, options = options_of(module)
        rnn = cls(cell, **arguments(module), **options)
        rnn.to(next(module.parameters())).load_torch(module)
        return rnn.train(module.training)

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The weights of every layer and direction, as torch's modules list them."""
        if self.counterpart is None:
            raise AttributeError(f"RNN({self.extra_repr()}) has no weights in torch's layout")
        self._synchronise()
        return [list(weights.values()) for weights in weights_of(self)]

    def flatten_parameters(self) -> None:
        """Lay the weights in one piece of GPU memory, as cuDNN wants them."""
        if self.is_torch_form:
            flatten(self)

    def _apply(self, *arguments: Any, **keywords: Any) -> "RNN":
        super()._apply(*arguments, **keywords)
        self.flatten_parameters()
        return self

    def named_modules(self, *arguments: Any, **keywords: Any) -> Any:
        # Parameters are listed by going through the modules.
        self._synchronise()
        return super().named_modules(*arguments, **keywords)

    def extra_repr(self) -> str:
        name = self.cell if isinstance(self.cell, str) else getattr(self.cell, "__name__", "cell")
        defaults = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False,
                    "dropout": 0.0, "bidirectional": False}  # fmt: skip
        values = {option: getattr(self, option) for option in defaults}
        words = [f"{o}={value}" for o, value in values.items() if value != defaults[o]]
        return ", ".join([name, str(self.input_size), str(self.hidden_size), *words])

    def _synchronise(self) -> None:
        if self.is_torch_form:
            tied.synchronise(self)

    @property
    def _topology(self) -> str:
        return "bichain" if self.bidirectional else "chain"

    def named_cells(self) -> Iterator[tuple[str, str, Any]]:
        """The cells, each with its path here and the suffix of its weights in torch's module."""
        for depth, layer in enumerate(self.layers):
            for direction, cell in enumerate(layer.cells):
                path = f"layers.{depth}.cells.{direction}."
                yield path, f"l{depth}{'_reverse' * direction}", cell


# torch.compile can trace neither torch's kernels nor our sweeps.
_run_untraced: Callable[..., Any] = torch.compiler.disable(run)
