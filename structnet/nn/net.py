"""Nets: an input layer, recurrences, a readout and a head."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from structnet.cell.base import Cell
from structnet.cell.renew import reset
from structnet.data.batch import Batch, Tokens, Vocabulary
from structnet.nn.convolution import Convolution
from structnet.nn.readout import Readout
from structnet.nn.recurrence import Recurrence
from structnet.nn.stack import stacked
from structnet.registry import cells, nets, readouts, topologies
from structnet.topology.base import Topology


@dataclass(frozen=True)
class Sizes:
    """What a task wires a net to: a vocabulary or an input size, and the outputs of its head.

    `sees`, `condition` and `edge_size` are the `Task`'s.
    """

    vocabulary: Vocabulary | None
    input_size: int | None
    num_outputs: int
    sees: Sequence[int] | None = None
    condition: Any = None
    edge_size: int | None = None


@nets.register("stack")
class Net(nn.Module):
    """Layers of one recurrence on top of each other, a readout and a linear head.

    `before` and `after` are a `Convolution` over the structure's edges below and above them: gcn,
    gat, gin or sage. It shows a node its successors too. `apart` gives every direction a stack of
    its own; without, every layer sees both directions of the one below.

    `topology`, `cell` and `readout` are names or, as the registries make them, objects: a topology,
    and callables (input size, hidden size, arity) and (size, directions).
    Tokens enter as the sum of their embeddings, features as they are. Called with a `Batch`, it
    gives (B, outputs), or (N, outputs) where the readout is per node. Every layer reads the
    features of edges, where the task has some, unless `edges` is false. `skip` and `dropout` are
    the `Stack`'s, `recurrent_dropout`, `zoneout`, `weight_drop`, `truncate` and `save` every
    `Recurrence`'s, `word_dropout` and `embedding_dropout` the `Embedding`'s. ValueError for a task
    that predicts what a node reads, as it would be seen, and for what the task gives beside x and
    the net does not read. Where `parameters` is
    given, it decides in place of `hidden_size`: the net is the widest that has at most so many.

    Arguments:
        embedding_size: the size of a token's embedding.
        hidden_size: the units of a layer in each direction.
        parameters: the most parameters that the net may have, which decides in place of
            hidden_size.
        num_layers: the number of layers, each on the outputs of the one below.
        before: a convolution of torch_geometric below the recurrence: gcn, gat, gin or sage.
        after: one above it: gcn, gat, gin or sage.
        apart: whether each direction has a stack of its own; else every layer sees both of the one
            below.
        skip: how a layer's input goes past it: none, residual, highway, dense or input.
        dropout: the probability with which a feature that enters or leaves a layer is dropped.
        word_dropout: a, by which a token seen n times in training is taken as unknown with
            probability a / (a + n).
        embedding_dropout: the probability with which a token's embedding is dropped in a whole
            batch.
        recurrent_dropout: the probability with which a unit of the states that are read is dropped.
        zoneout: the probability with which a unit keeps its state of the step before.
        weight_drop: the probability with which a recurrent weight is dropped.
        truncate: the levels that gradients flow back through at most; null is all.
        edges: whether layers read the features of edges, where the task has some.
        executor: what runs the recurrences: auto, or one by name, as reference, batched or
            compiled.
        save: what is stored for backward: gates; or less, to compute it again: recompute, windows.
    """

    def __init__(
        self,
        sizes: Sizes,
        topology: Topology | str,
        cell: Callable[[int, int, int | None], Cell] | str,
        readout: Callable[[int, int], Readout] | str,
        *,
        embedding_size: int = 128,
        hidden_size: int = 128,
        parameters: int | None = None,
        num_layers: int = 1,
        before: str | None = None,
        after: str | None = None,
        apart: bool = False,
        skip: str = "none",
        dropout: float = 0.3,
        word_dropout: float = 10.0,
        embedding_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        zoneout: float = 0.0,
        weight_drop: float = 0.0,
        truncate: int | None = None,
        edges: bool = True,
        executor: str = "auto",
        save: str = "gates",
    ):
        super().__init__()
        _refuse_unread(sizes)
        topology, cell, readout = _made(topology, cell, readout)
        layer = partial(
            Recurrence,
            cell=cell,
            executor=executor,
            save=save,
            recurrent_dropout=recurrent_dropout,
            zoneout=zoneout,
            weight_drop=weight_drop,
            truncate=truncate,
            edge_size=sizes.edge_size if edges else None,
        )
        self.edges, self.edge_size = edges, sizes.edge_size
        size, self.input = _input(sizes, embedding_size, word_dropout, embedding_dropout)

        def above(width: int) -> tuple[nn.Module | None, ...]:
            """What stands on the input layer, with states of so many numbers."""
            below = Convolution(before, size, width) if before else None
            stack = stacked(
                partial(layer, hidden_size=width),
                topology,
                width if below else size,
                num_layers,
                apart=apart,
                skip=skip,
                dropout=dropout,
            )
            on_top = Convolution(after, *[stack.output_size] * 2) if after else None
            read = readout(stack.output_size, len(topology.directions))
            return below, stack, on_top, read, nn.Linear(read.output_size, sizes.num_outputs)

        if parameters is not None:
            hidden_size = _largest(lambda width: _count(self.input, *above(width)), parameters)
        self.before, self.stack, self.after, self.readout, self.head = above(hidden_size)

    @property
    def layers(self) -> Sequence[Recurrence]:
        """The recurrences, from the input on."""
        return self.stack.layers

    def reset_parameters(self) -> None:
        """Put all weights back to what a new net has, given the same random state."""
        for module in self.children():
            reset(module)

    def forward(self, batch: Batch) -> Tensor:
        _refuse_fields(batch, self.edges and self.edge_size is None)
        edge_x = batch.edge_x if self.edges else None
        h = self.input(batch.x)
        if self.before is not None:
            h = self.before(h, batch.plans[0])
        h = self.stack(h, batch.plans, edge_x)
        if self.after is not None:
            h = self.after(h, batch.plans[0])
        return self.head(self.readout(h, batch))


def _made(topology: Any, cell: Any, readout: Any) -> tuple[Topology, Callable, Callable]:
    """What is given by name, as it is registered."""
    return (
        topologies.create(topology) if isinstance(topology, str) else topology,
        partial(cells.create, cell) if isinstance(cell, str) else cell,
        partial(readouts.create, readout) if isinstance(readout, str) else readout,
    )


def _refuse_unread(sizes: Sizes) -> None:
    others = [name for name in nets.names() if nets[name] is not Net]
    if sizes.sees is not None:
        raise ValueError(
            "the task predicts the input of every node, which net 'stack' would show: take a "
            f"net that hides it, of {others}"
        )
    if sizes.condition is not None:
        raise ValueError(
            f"the task gives the net a condition, {sizes.condition!r}, which net 'stack' does not "
            f"read: take a net that reads it, of {others}, or make it part of every node's x"
        )
    if sizes.vocabulary is not None and sizes.input_size is not None:
        raise ValueError(
            f"the task has a vocabulary and an input_size of {sizes.input_size}, and net 'stack' "
            "reads tokens or numbers: leave one of them out, or take a net of your own for both"
        )


def _refuse_fields(batch: Batch, unknown_edges: bool) -> None:
    """ValueError for what samples have beside x, and the task says nothing of."""
    if batch.condition is not None:
        raise ValueError(
            "samples have a condition, which net 'stack' does not read: leave it out, or make it "
            "part of every node's x"
        )
    if batch.edge_x is not None and unknown_edges:
        raise ValueError(
            f"samples have edge_x of {batch.edge_x.shape[1]} numbers, which net 'stack' reads "
            "where the task's edge_size says so: set it, or take net.edges=false"
        )


def _input(
    sizes: Sizes, embedding_size: int, word_dropout: float, embedding_dropout: float
) -> tuple[int, nn.Module]:
    if sizes.vocabulary is not None:
        embedding = Embedding(sizes.vocabulary, embedding_size, word_dropout, embedding_dropout)
        return embedding_size, embedding
    if sizes.input_size is None:
        raise ValueError("a task has a vocabulary or an input_size, this one has neither")
    return sizes.input_size, nn.Identity()


def _largest(count: Callable[[int], int], limit: int) -> int:
    """The largest hidden size that takes at most so many parameters."""
    # The nets that are only counted leave the weights of the one that is kept as they would be.
    with torch.random.fork_rng(devices=()):
        if (least := count(1)) > limit:
            raise ValueError(f"option 'parameters' is at least {least} for this net, got {limit}")
        above = 2
        while count(above) <= limit:
            above *= 2
        return bisect_right(range(above), limit, lo=above // 2, key=count) - 1


def _count(*modules: nn.Module | None) -> int:
    return sum(one.numel() for module in modules if module for one in module.parameters())


class Embedding(nn.EmbeddingBag):
    """The sum of the embeddings of a node's tokens; zero for a node without tokens.

    In training a token seen n times is taken as unknown with probability a / (a + n), a being
    `word_dropout` (Kiperwasser and Goldberg 2016, section 3.3), and with probability
    `embedding_dropout` a token's embedding is dropped everywhere in the batch (Merity et al. 2018,
    section 4.3).
    """

    def __init__(
        self, vocabulary: Vocabulary, size: int, word_dropout: float, embedding_dropout: float
    ):
        if size < 1:
            raise ValueError(f"option 'embedding_size' is at least 1, got {size}")
        if word_dropout < 0:
            raise ValueError(f"option 'word_dropout' is at least 0, got {word_dropout}")
        if not 0 <= embedding_dropout < 1:
            raise ValueError(
                f"option 'embedding_dropout' is from 0 to below 1, got {embedding_dropout}"
            )
        super().__init__(len(vocabulary), size, mode="sum", include_last_offset=True)
        self.word_dropout, self.embedding_dropout = word_dropout, embedding_dropout
        self.counts = (1, *vocabulary.counts.values())
        self.rate: Tensor
        self.register_buffer("rate", self._rate() if word_dropout else None, persistent=False)

    def reset_parameters(self) -> None:
        """Put the embeddings back to what new ones have, given the same random state."""
        super().reset_parameters()
        nn.init.normal_(self.weight, std=0.3)
        if getattr(self, "rate", None) is not None:
            self.rate.copy_(self._rate())

    def _rate(self) -> Tensor:
        """The probability of being taken as unknown, a token each."""
        return self.word_dropout / (
            self.word_dropout + torch.tensor(self.counts, dtype=torch.float32)
        )

    def forward(self, tokens: Tokens) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ids, kept = tokens.ids, None
        if self.training and self.rate is not None:
            unknown = torch.rand(len(ids), device=ids.device) < self.rate[ids]
            ids = ids.masked_fill(unknown, 0)
        if self.training and self.embedding_dropout:
            ones = self.weight.new_ones(self.num_embeddings)
            kept = nn.functional.dropout(ones, self.embedding_dropout)[ids]
        return super().forward(ids, tokens.ptr, kept)
