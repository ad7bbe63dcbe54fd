"""Nets: an input layer, recurrences, a readout and a head."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from structnet.batch import Batch, Tokens, Vocabulary
from structnet.cells.cell import Cell
from structnet.readout import Readout
from structnet.recurrence import Recurrence
from structnet.registry import nets
from structnet.topology import Topology


@dataclass(frozen=True)
class Sizes:
    """What a task wires a net to: a vocabulary or an input size, and the outputs of its head."""

    vocabulary: Vocabulary | None
    input_size: int | None
    num_outputs: int


@nets.register("stack")
class Net(nn.Module):
    """Layers of one recurrence on top of each other, a readout and a linear head.

    Tokens enter as the sum of their embeddings, features as they are. Called with a `Batch`, it
    gives (B, outputs), or (N, outputs) where the readout is per node. `dropout` acts on what enters
    and leaves every layer. A token seen n times in training is taken as unknown with probability
    a / (a + n), a being `word_dropout` (Kiperwasser and Goldberg 2016, section 3.3).
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
        dropout: float = 0.3,
        word_dropout: float = 10.0,
        executor: str = "auto",
    ):
        super().__init__()
        if num_layers < 1:
            raise ValueError(f"option 'num_layers' is at least 1, got {num_layers}")
        if not 0 <= dropout < 1:
            raise ValueError(f"option 'dropout' is from 0 to below 1, got {dropout}")
        size, self.input = _input(sizes, embedding_size, word_dropout)
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


def _input(sizes: Sizes, embedding_size: int, word_dropout: float) -> tuple[int, nn.Module]:
    if sizes.vocabulary is not None:
        return embedding_size, Embedding(sizes.vocabulary, embedding_size, word_dropout)
    if sizes.input_size is None:
        raise ValueError("a task has a vocabulary or an input_size, this one has neither")
    return sizes.input_size, nn.Identity()


class Embedding(nn.EmbeddingBag):
    """The sum of the embeddings of a node's tokens; zero for a node without tokens."""

    def __init__(self, vocabulary: Vocabulary, size: int, word_dropout: float):
        if size < 1:
            raise ValueError(f"option 'embedding_size' is at least 1, got {size}")
        if word_dropout < 0:
            raise ValueError(f"option 'word_dropout' is at least 0, got {word_dropout}")
        super().__init__(len(vocabulary), size, mode="sum", include_last_offset=True)
        nn.init.normal_(self.weight, std=0.3)
        counts = torch.tensor([1, *vocabulary.counts.values()], dtype=torch.float32)
        rate = word_dropout / (word_dropout + counts)
        self.rate: Tensor
        self.register_buffer("rate", rate if word_dropout else None, persistent=False)

    def forward(self, tokens: Tokens) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ids = tokens.ids
        if self.training and self.rate is not None:
            unknown = torch.rand(len(ids), device=ids.device) < self.rate[ids]
            ids = ids.masked_fill(unknown, 0)
        return super().forward(ids, tokens.ptr)
