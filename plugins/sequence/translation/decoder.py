"""The decoder: a chain that writes about an encoded source.

B: samples; T: steps of the longest target, N of all samples; S: nodes of the largest source;
D: size of the decoder's states; E: size of the vector that stands for a source.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

import structnet as sn
from structnet.plugins.sequence.generation.starts import Start, States, zeros
from structnet.plugins.sequence.translation.attention import Attention, Memory, pad, places

Condition = Literal["state", "input", "both", "none"]


class Encoded(NamedTuple):
    """What the decoder knows of B sources.

    Arguments:
        vector: the encoder's state (B, E), as the readout gives it.
        memory: what attention reads; () without attention.
    """

    vector: Tensor
    memory: Memory | tuple[()]

    def rows(self, index: Any) -> "Encoded":
        """Of some of the samples: a slice or indices."""
        memory = Memory(*(one[index] for one in self.memory)) if self.memory else ()
        return Encoded(self.vector[index], memory)


class State(NamedTuple):
    """The decoder's state: that of every layer, and what is fed to the next step, or ()."""

    layers: tuple[States, ...]
    fed: Tensor | tuple[()]

    def rows(self, index: Any) -> "State":
        """Of some of the samples: a slice or indices."""
        layers = tuple(tuple(one[index] for one in states) for states in self.layers)
        return State(layers, self.fed[index] if isinstance(self.fed, Tensor) else ())


class Decoder(nn.Module):
    """Called with what it knows of sources and with their targets, returns what is scored.

    That is one row per step (N, D), and the weights of attention (B, heads, T, S), which have no
    elements without attention.

    Arguments:
        tokens: the number of tokens that are read and written.
        vector_size, memory_size: the sizes of the vector, and of the encoder's states.
        cell: as a net takes it.
        options: of `sn.Net`; the others are those of `Seq2Seq`.
    """

    def __init__(
        self,
        tokens: int,
        vector_size: int,
        memory_size: int,
        cell: Any,
        *,
        condition: Condition,
        attention: Literal["none", "dot", "additive"],
        heads: int,
        input_feeding: bool,
        embedding_size: int,
        hidden_size: int,
        **options: Any,
    ):
        """ValueError for options that do not fit."""
        super().__init__()
        self.joins, self.input_feeding = condition in ("input", "both"), input_feeding
        self.embedding = nn.Embedding(tokens, embedding_size)
        nn.init.normal_(self.embedding.weight, std=0.3)
        read = embedding_size + vector_size * self.joins + hidden_size * input_feeding
        sizes = sn.Sizes(None, read, tokens)
        options["hidden_size"] = hidden_size
        self.net = sn.Net(sizes, "chain", cell, "every", no_head, **options)
        stack: Any = self.net.stack
        self.size: int = stack.output_size
        if input_feeding and self.size != hidden_size:
            raise ValueError(
                f"net.input_feeding=true feeds net.hidden_size={hidden_size} units, the decoder's "
                f"states have {self.size}: take another net.skip"
            )
        self.attention, self.combine = None, None
        if attention != "none":
            self.attention = Attention(self.size, memory_size, attention, heads)
            self.combine = nn.Linear(self.size + memory_size, self.size)
        self.dropout = nn.Dropout(stack.dropout)
        self.starts = None
        if condition in ("state", "both"):
            layers = self.net.layers
            self.starts = nn.ModuleList(Start(vector_size, layer.cells[0]) for layer in layers)

    @property
    def topology(self) -> sn.Topology:
        """The chain that plans targets."""
        return self.net.layers[0].topology

    def know(self, vector: Tensor, states: Tensor, ptr: Tensor) -> Encoded:
        """What is known of sources: their vectors (B, E), and the states of all their nodes."""
        return Encoded(vector, self.attention.remember(states, ptr) if self.attention else ())

    def start(self, known: Encoded) -> State:
        """The state before the first step."""
        vector, layers = known.vector, self.net.layers
        if self.starts is None:
            states = tuple(zeros(layer, vector) for layer in layers)
        else:
            states = tuple(start(vector) for start in self.starts)
        fed = vector.new_zeros(len(vector), self.size) if self.input_feeding else ()
        return State(states, fed)

    def forward(self, known: Encoded, target: sn.Batch) -> tuple[Tensor, Tensor]:
        if self.input_feeding:
            return self._step_by_step(known, target)
        x = self._input(target.x.ids, known.vector[target.sample_of_node()], ())
        h: Any = self.net.carry(replace(target, x=x), self.start(known).layers)[0]
        if self.attention is None or not known.memory:
            return h, h.new_empty(0)
        at, longest = places(target.ptr)
        means, weights = self.attention(pad(h, at, target.num_samples, longest), known.memory)
        return self._combined(h, means.flatten(0, 1)[at]), weights

    def _step_by_step(self, known: Encoded, target: sn.Batch) -> tuple[Tensor, Tensor]:
        """The same where a step reads what the one before gave; samples from long to short."""
        order = target.ptr.diff().argsort(descending=True, stable=True)
        known, first = known.rows(order), target.ptr[:-1][order]
        state = self.start(known)
        outputs, nodes, every = [], [], []
        for step, count in enumerate(_going(target)):
            going = slice(count)
            state, known = state.rows(going), known.rows(going)
            nodes.append(first[going] + step)
            plans = tuple(plan.to(first.device) for plan in self.topology.plan([1] * count))
            out, state, weights = self.step(target.x.ids[nodes[-1]], plans, state, known)
            outputs.append(out)
            missing = target.num_samples - count
            every.append(nn.functional.pad(weights, (0, 0, 0, 0, 0, 0, 0, missing)))
        weights = torch.cat(every, dim=2)[order.argsort()]
        return torch.cat(outputs)[torch.cat(nodes).argsort()], weights

    def step(
        self, ids: Tensor, plans: Any, state: State, known: Encoded
    ) -> tuple[Tensor, State, Tensor]:
        """What is scored after a token of each sample (B, D), the new state, and the weights."""
        ptr = torch.arange(len(ids) + 1, device=ids.device)
        none = ptr.new_zeros(len(ids))
        x = self._input(ids, known.vector, state.fed)
        found: Any = self.net.carry(sn.Batch(x, plans, ptr, none, none), state.layers)
        h, layers = found[0], tuple(map(tuple, found[1]))
        if self.attention is None or not known.memory:
            return h, State(layers, ()), h.new_empty(0)
        means, weights = self.attention(h[:, None], known.memory)
        out = self._combined(h, means[:, 0])
        return out, State(layers, out if self.input_feeding else ()), weights

    def _input(self, ids: Tensor, vector: Tensor, fed: Tensor | tuple[()]) -> Tensor:
        """What is read for tokens (n,)."""
        parts = [self.embedding(ids), *[vector] * self.joins]
        return torch.cat([*parts, fed] if isinstance(fed, Tensor) else parts, dim=1)

    def _combined(self, h: Tensor, means: Tensor) -> Tensor:
        combine: Any = self.combine
        return self.dropout(combine(torch.cat([h, means], dim=1)).tanh())


def no_head(size: int, sizes: sn.Sizes) -> Any:
    """In place of a net's head, where its states are needed."""
    return nn.Identity()


def _going(target: sn.Batch) -> Iterator[int]:
    """The number of samples that have a step, for every step."""
    counts = torch.bincount(target.ptr.diff())
    return iter(counts.flip(0).cumsum(0).flip(0)[1:].tolist())
