"""Nets: an input layer, recurrences, a readout and a head."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from structnet.cells.cell import Cell
from structnet.readout import Readout
from structnet.recurrence import Recurrence
from structnet.registry import nets
from structnet.batch import Batch, Tokens
from structnet.topology import Topology


@dataclass(frozen=True)
class Sizes:
    """What a task wires a net to: a vocabulary or an input size, and the outputs of its head."""

    vocabulary: int | None
    input_size: int | None
    num_outputs: int


@nets.register("stack")
class Net(nn.Module):
    """Layers of one recurrence on top of each other, a readout and a linear head.

    Tokens enter as the sum of their embeddings, features as they are. Called with a `Batch`, it
    gives (B, outputs), or (N, outputs) where the readout is per node. `dropout` acts on what enters
    and leaves every layer, `token_dropout` drops whole tokens (Iyyer et al. 2015, section 3).
    """

    def __init__(
        self,
        sizes: Sizes,
        topology: Topology,
        cell: Callable[[int, int, int | None], Cell],
        readout: Callable[[int, int], Readout],
        *,
        embedding_size: int = 128,
        hidden_size: int = 128,
        num_layers: int = 1,
        dropout: float = 0.1,
        token_dropout: float = 0.0,
        executor: str = "batched",
    ):
        super().__init__()
        if num_layers < 1:
            raise ValueError(f"option 'num_layers' is at least 1, got {num_layers}")
        for name, rate in (("dropout", dropout), ("token_dropout", token_dropout)):
            if not 0 <= rate < 1:
                raise ValueError(f"option {name!r} is from 0 to below 1, got {rate}")
        size, self.input = _input(sizes, embedding_size, token_dropout)
        self.layers = nn.ModuleList()
        for _ in range(num_layers):
            layer = Recurrence(topology, cell, size, hidden_size, executor=executor)
            self.layers.append(layer)
            size = layer.output_size
        self.dropout = nn.Dropout(dropout)
        self.readout = readout(size, len(topology.directions))
        self.head = nn.Linear(self.readout.output_size, sizes.num_outputs)

    def forward(self, batch: Batch) -> Tensor:
        h = self.dropout(self.input(batch.x))
        for layer in self.layers:
            h = self.dropout(layer(h, batch.plans))
        return self.head(self.readout(h, batch))


def _input(sizes: Sizes, embedding_size: int, token_dropout: float) -> tuple[int, nn.Module]:
    if sizes.vocabulary is not None:
        return embedding_size, Embedding(sizes.vocabulary, embedding_size, token_dropout)
    if sizes.input_size is None:
        raise ValueError("a task has a vocabulary or an input_size, this one has neither")
    return sizes.input_size, nn.Identity()


class Embedding(nn.EmbeddingBag):
    """The sum of the embeddings of a node's tokens; zero for a node without tokens."""

    def __init__(self, num_tokens: int, size: int, dropout: float):
        super().__init__(num_tokens, size, mode="sum", include_last_offset=True)
        self.dropout = dropout
        nn.init.normal_(self.weight, std=0.3)

    def forward(self, tokens: Tokens) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        kept = None
        if self.training and self.dropout:
            kept = torch.rand(len(tokens.ids), device=self.weight.device) >= self.dropout
            kept = kept.to(self.weight.dtype) / (1 - self.dropout)
        return super().forward(tokens.ids, tokens.ptr, kept)
