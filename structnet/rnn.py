"""RNN: any cell in layers over sequences, called as torch.nn.LSTM is.

B: samples, L: steps, N: steps of all samples, I: input size, D: directions.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from structnet import registry
from structnet.cells.cell import Cell
from structnet.counterpart import Counterpart, find_counterpart, options_of
from structnet.plan import Plan
from structnet.recurrence import Recurrence
from structnet.sequences import Sequences, read_sequences

States = tuple[Tensor, ...]


class RNN(nn.Module):
    """Layers of a cell over sequences, in one direction or both, called as torch.nn.LSTM is.

    `cell` is a name, or a callable (input size, hidden size, arity) -> Cell. `dropout` acts on
    what leaves every layer but the last. `options` are those of `Recurrence`, and of the cell,
    where it is named. What torch computes as well (lstm, gru with the reset gate after the
    product, elman) runs in its kernels where they are faster, unless an `executor` is named.

    The input is (L, B, I), (B, L, I) if `batch_first`, or (L, I); a PackedSequence; or a nested
    tensor of (L, I). Padded batches may come with `lengths` (B,): what is behind them is not
    computed, and zero in the output. The output is in the form of the input, with
    D * output size features; beside it stand the final states, each (D * num_layers, B, size),
    (D * num_layers, size) for (L, I): a tuple, or a tensor where the cell has one. Initial states
    `hx` are given in this form. Layers come first in it, in each forward before backward.

    Weights are read from torch's modules: see `load_torch`. `load_state_dict` takes their names as
    well, so that checkpoints of a model load after its nn.LSTM became an RNN.
    """

    def __init__(
        self,
        cell: Callable[[int, int, int | None], Cell] | str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        **options: Any,
    ):
        """ValueError for an option out of range or unknown, KeyError for an unknown cell."""
        super().__init__()
        if num_layers < 1:
            raise ValueError(f"num_layers is at least 1, got {num_layers}")
        if not 0 <= dropout <= 1:
            raise ValueError(f"dropout is a probability from 0 to 1, got {dropout}")
        if dropout and num_layers == 1:
            warnings.warn(
                f"dropout={dropout} acts between layers, and there is one; take num_layers=2 or "
                "more, or leave it out",
                stacklevel=2,
            )
        self.cell, self.input_size, self.hidden_size = cell, input_size, hidden_size
        self.num_layers, self.batch_first, self.dropout = num_layers, batch_first, dropout
        self.bidirectional = bidirectional
        topology = registry.topologies.create(self._topology)
        self.layers: Any = nn.ModuleList()
        size = input_size
        for _ in range(num_layers):
            layer = Recurrence(topology, cell, size, hidden_size, **options)
            self.layers.append(layer)
            size = layer.output_size
        self.output_size = size
        self.counterpart = find_counterpart(cell, options)
        self.register_load_state_dict_pre_hook(_translate_names)

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Tensor | States | None = None,
        *,
        lengths: Sequence[int] | Tensor | None = None,
    ) -> tuple[Any, Tensor | States]:
        """The output and the final states; ValueError for sizes that don't fit."""
        sequences = read_sequences(input, lengths, self.batch_first)
        self._check(sequences.data)
        initial = None if hx is None else self._read_states(hx, sequences)
        run = self._run_kernel if self._has_kernel(sequences) else self._run_layers
        h, states = run(sequences, initial)
        if not sequences.is_batched:
            states = tuple(state.squeeze(1) for state in states)
        return sequences.restore(h), states[0] if len(states) == 1 else states

    def reset_parameters(self) -> None:
        """Put all weights back to what a new RNN has, given the same random state."""
        for layer in self.layers:
            layer.reset_parameters()

    def load_torch(self, source: nn.Module | Mapping[str, Tensor]) -> None:
        """Take the weights of an nn.LSTM, nn.GRU or nn.RNN, or of its state dict.

        The outputs are the same; torch's two biases become one. ValueError where torch has no
        equal of this cell and its options, or sizes differ.
        """
        state = source.state_dict() if isinstance(source, nn.Module) else source
        squash = self._require_counterpart().options.get("nonlinearity")
        if isinstance(source, nn.RNN) and source.nonlinearity != squash:
            raise ValueError(f"nonlinearity is {squash!r} here, {source.nonlinearity!r} there")
        wanted = {name: tuple(value.shape) for name, value in self.torch_state_dict().items()}
        if not any("bias" in name for name in state):
            wanted = {name: shape for name, shape in wanted.items() if "bias" not in name}
        given = {name: tuple(value.shape) for name, value in state.items()}
        differing = sorted(
            f"{name} {given.get(name, 'missing')}, here {wanted.get(name, 'none')}"
            for name in given.keys() | wanted.keys()
            if given.get(name) != wanted.get(name)
        )
        if differing:
            raise ValueError(
                f"the weights don't fit RNN({self.extra_repr()}): {'; '.join(differing)}"
            )
        self.load_state_dict(state)

    def torch_state_dict(self) -> dict[str, Tensor]:
        """The weights by the names that torch's module has; ValueError where there is none."""
        counterpart = self._require_counterpart()
        with torch.no_grad():
            return {
                f"{kind}_{suffix}": weight.clone()
                for _, suffix, cell in self._places()
                for kind, weight in counterpart.export(cell).items()
            }

    def to_torch(self) -> nn.RNNBase:
        """torch's module with the same weights; ValueError where there is none."""
        counterpart, like = self._require_counterpart(), next(self.parameters())
        module: Any = counterpart.module(
            **_arguments(self), **counterpart.options, device=like.device, dtype=like.dtype
        )
        module.load_state_dict(self.torch_state_dict())
        return module.train(self.training)

    @classmethod
    def from_torch(cls, module: nn.Module) -> "RNN":
        """What computes the same as an nn.LSTM, nn.GRU or nn.RNN; ValueError for others."""
        cell, options = options_of(module)
        rnn = cls(cell, **_arguments(module), **options)
        rnn.to(next(module.parameters())).load_torch(module)
        return rnn.train(module.training)

    def flatten_parameters(self) -> None:
        """Do nothing: models that were written for torch.nn.LSTM call it."""

    def extra_repr(self) -> str:
        name = self.cell if isinstance(self.cell, str) else getattr(self.cell, "__name__", "cell")
        defaults = {"num_layers": 1, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        values = {option: getattr(self, option) for option in defaults}
        words = [f"{o}={value}" for o, value in values.items() if value != defaults[o]]
        return ", ".join([name, str(self.input_size), str(self.hidden_size), *words])

    @property
    def _topology(self) -> str:
        return "bichain" if self.bidirectional else "chain"

    def _has_kernel(self, sequences: Sequences) -> bool:
        layer = self.layers[0]
        if layer.executor != "auto" or layer.truncate or any(vars(layer.noise).values()):
            return False
        return self.counterpart is not None and self.counterpart.is_faster(sequences)

    def _require_counterpart(self) -> Counterpart:
        if self.counterpart is None:
            raise ValueError(
                f"torch has no equal of RNN({self.extra_repr()}) with its options; it has lstm, "
                "elman, and gru with reset='after', other options being as they are by default"
            )
        return self.counterpart

    def _places(self) -> Iterator[tuple[str, str, Any]]:
        """Where each cell's parameters stand here and in torch's module, and the cell."""
        for depth, layer in enumerate(self.layers):
            for direction, cell in enumerate(layer.cells):
                here = f"layers.{depth}.cells.{direction}."
                yield here, f"l{depth}{'_reverse' * direction}", cell

    def _check(self, data: Tensor) -> None:
        if data.shape[1] != self.input_size:
            raise ValueError(
                f"the last dimension of the input is input_size = {self.input_size}, "
                f"got {data.shape[1]}"
            )
        dtype = next(self.parameters(), data).dtype
        if data.dtype != dtype and not torch.is_autocast_enabled(data.device.type):
            raise ValueError(
                f"the input is {data.dtype}, the weights are {dtype}; "
                f"convert one of them: input.to({dtype}), or rnn.to({data.dtype})"
            )

    def _read_states(self, hx: Tensor | States, sequences: Sequences) -> States:
        """Initial states (D * num_layers, B, size), of the weights' type."""
        sizes = self.layers[0].cells[0].state_sizes
        rows, samples = self.num_layers * (1 + self.bidirectional), len(sequences.lengths)
        batch = (samples,) if sequences.is_batched else ()
        shapes = [(rows, *batch, size) for size in sizes]
        states = (hx,) if isinstance(hx, Tensor) else tuple(hx)
        given = [tuple(state.shape) for state in states]
        if given != shapes:
            raise ValueError(f"initial states hx are of shapes {shapes}, got {given}")
        dtype = next(self.parameters(), sequences.data).dtype
        return tuple(state.view(rows, samples, -1).to(dtype) for state in states)

    def _run_kernel(self, sequences: Sequences, initial: States | None) -> tuple[Tensor, States]:
        counterpart, like = self._require_counterpart(), next(self.parameters())
        cells = [cell for _, _, cell in self._places()]
        shape = (len(cells), len(sequences.lengths))
        start = initial or [like.new_zeros(*shape, size) for size in cells[0].state_sizes]
        h, states = counterpart.run(
            cells, sequences, start, self.num_layers, self.dropout, self.training
        )
        # Under autocast the kernel's precision depends on its kind; ours is that of the weights.
        return h.to(like.dtype), tuple(state.to(like.dtype) for state in states)

    def _run_layers(self, sequences: Sequences, initial: States | None) -> tuple[Tensor, States]:
        h, directions = sequences.data, 1 + self.bidirectional
        plans, ends = _plans(self._topology, sequences.lengths, h.device)
        finals = []
        for depth, layer in enumerate(self.layers):
            start = None
            if initial is not None:
                rows = slice(depth * directions, (depth + 1) * directions)
                start = [state[rows].transpose(0, 1).flatten(1) for state in initial]
            h, states = layer(h, plans, initial=start, return_states=True)
            finals.append([_at_ends(state, ends[:directions]) for state in states])
            if depth < self.num_layers - 1:
                h = F.dropout(h, self.dropout, self.training)
        return h, tuple(map(torch.cat, zip(*finals, strict=True)))


def _arguments(module: nn.Module) -> dict[str, Any]:
    """What an RNN and torch's modules are both made with."""
    names = ("input_size", "hidden_size", "num_layers", "batch_first", "dropout", "bidirectional")
    return {name: getattr(module, name) for name in names}


@lru_cache(maxsize=64)
def _plans(
    topology: str, lengths: tuple[int, ...], device: torch.device
) -> tuple[tuple[Plan, ...], tuple[Tensor, Tensor]]:
    """The plans of sequences, and the node that ends each, forward and backward; on the device."""
    # A validation under inference mode plans what training finds in the cache.
    with torch.inference_mode(False):
        plans = registry.topologies.create(topology).plan(lengths)
        sizes = torch.tensor(lengths, dtype=torch.long)
        stops = sizes.cumsum(0)
        ends = ((stops - 1).to(device), (stops - sizes).to(device))
        return tuple(plan.to(device) for plan in plans), ends


def _at_ends(state: Tensor, ends: Sequence[Tensor]) -> Tensor:
    """(N, D * size) -> (D, B, size)."""
    parts = state.chunk(len(ends), dim=1)
    return torch.stack([part[end] for part, end in zip(parts, ends, strict=True)])


def _translate_names(rnn: Any, state_dict: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Put our names for torch's into a state dict that is being loaded."""
    if rnn.counterpart is None:
        return
    for here, suffix, cell in rnn._places():
        names = {kind: f"{prefix}{kind}_{suffix}" for kind in rnn.counterpart.kinds}
        found = {kind: state_dict[name] for kind, name in names.items() if name in state_dict}
        # What is missing or of another shape is left for torch to name.
        with torch.no_grad():
            shapes = {kind: value.shape for kind, value in rnn.counterpart.export(cell).items()}
        fit = {kind: value.shape for kind, value in found.items()} in (
            shapes,
            {kind: shape for kind, shape in shapes.items() if "bias" not in kind},
        )
        if fit:
            for kind in found:
                del state_dict[names[kind]]
            for name, value in rnn.counterpart.adopt(found).items():
                state_dict[f"{prefix}{here}{name}"] = value
