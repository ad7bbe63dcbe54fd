"""States of a trained net as inputs of another: contextual representations of words.

N: nodes, B: samples, L: layers, D: size of a layer's states.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from structnet.data.batch import Batch, Tokens
from structnet.data.vocabulary import Vocabulary
from structnet.nn.characters import Characters
from structnet.nn.sizes import Sizes
from structnet.topology.base import Topology

# What of a net is above its states.
ABOVE = ("after", "readout", "head")


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A trained net over sequences of tokens, of which another net reads the states.

    Arguments:
        build: makes the net, with its weights or to be filled with saved ones. It has what
            `sn.Net` has: `layer_states(batch)` and `layer_shape`.
        vocabulary: its words.
        topology: plans its sequences.
        border: the word that its samples begin and end with; None for none.
    """

    build: Callable[[], nn.Module]
    vocabulary: Vocabulary
    topology: Topology
    border: str | None = None


class Contextual(nn.Module):
    """The states of a trained net at every node, (N, D): the weighted mean of its layers, scaled.

    Peters et al. (2018), eq. 1, with a learned scale (gamma) and learned weights of the layers (s,
    a softmax), which are equal at first. The trained net itself stays as it is, in evaluation and
    without gradients. It reads each sample as a sequence, its nodes in order, as words of its own
    vocabulary.

    Arguments:
        source: the trained net.
        words: the vocabulary of the batches. Words that training does not have, with a count of 0,
            are there for the trained net alone.

    Attributes:
        words: the words that training has, by ids of their own.
    """

    def __init__(self, source: Pretrained, words: Vocabulary):
        super().__init__()
        net: Any = source.build()
        for name in ABOVE:
            if getattr(net, name, None) is not None:
                setattr(net, name, None)
        self.net = net.eval().requires_grad_(False)
        self.topology = source.topology
        self.reads_characters = any(isinstance(one, Characters) for one in net.modules())
        layers, self.output_size = net.layer_shape
        self.weights, self.scale = nn.Parameter(torch.zeros(layers)), nn.Parameter(torch.ones(()))
        self.words = Vocabulary({word: n for word, n in words.counts.items() if n})
        # The id of every word of the batches: in `words`, and in the trained net's vocabulary.
        self.own_ids: Tensor
        self.net_ids: Tensor
        for name, of in (("own_ids", self.words), ("net_ids", source.vocabulary)):
            self._hold(name, [0, *map(of.__getitem__, words.counts)])
        # The id of the border, and how it is written.
        self.border_id: Tensor
        self.border_bytes: Tensor
        self.has_border = source.border is not None
        border: Any = source.vocabulary.tokens([[source.border or ""]], [source.border or ""])
        self._hold("border_id", border.ids)
        self._hold("border_bytes", border.spelling.ids)

    def _hold(self, name: str, values: Any) -> None:
        self.register_buffer(name, torch.tensor(values), persistent=False)

    def reset_parameters(self) -> None:
        """Weigh all layers alike again; the trained net is left as it is."""
        nn.init.zeros_(self.weights)
        nn.init.ones_(self.scale)

    def train(self, mode: bool = True) -> "Contextual":
        super().train(mode)
        self.net.eval()
        return self

    def own(self, tokens: Tokens) -> Tokens:
        """The tokens as ids of `words`."""
        return replace(tokens, ids=self.own_ids[tokens.ids])

    def forward(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            given, place = self._given(batch)
            layers = torch.stack([h[place] for h in self.net.layer_states(given)])
        shares = self.weights.softmax(0)
        return self.scale * torch.tensordot(shares, layers.to(shares.dtype), 1)

    def _given(self, batch: Batch) -> tuple[Batch, Tensor]:
        """What the trained net reads, and where in it the nodes of the batch are, (N,)."""
        x, sample = batch.x, batch.sample_of_node()
        place, lengths = torch.arange(batch.num_nodes, device=sample.device), batch.ptr.diff()
        spelling = x.spelling if self.reads_characters else None
        tokens = Tokens(self.net_ids[x.ids], x.ptr, spelling)
        if self.has_border:
            tokens = self._bordered(tokens, sample)
            place, lengths = place + 2 * sample + 1, lengths + 2
        plans = tuple(plan.to(place.device) for plan in self.topology.plan(lengths.tolist()))
        return Batch(tokens, plans, plans[0].ptr, batch.y, batch.kind), place

    def _bordered(self, tokens: Tokens, sample: Tensor) -> Tokens:
        """The tokens of nodes, and nodes with the border before and after those of every sample."""
        of_token = sample.repeat_interleave(tokens.ptr.diff(), output_size=len(tokens.ids))
        one = torch.ones_like(self.border_id)
        ids = bordered(tokens.ids, of_token, self.border_id)
        counts = bordered(tokens.ptr.diff(), sample, one)
        spelling = tokens.spelling
        if spelling is not None:
            of_byte = of_token.repeat_interleave(spelling.ptr.diff(), output_size=len(spelling.ids))
            sizes = bordered(spelling.ptr.diff(), of_token, one * len(self.border_bytes))
            spelling = Tokens(bordered(spelling.ids, of_byte, self.border_bytes), _ptr_of(sizes))
        return Tokens(ids, _ptr_of(counts), spelling)


def bordered(values: Tensor, sample: Tensor, border: Tensor) -> Tensor:
    """Values with a border (k,) before the first and after the last value of every sample.

    Arguments:
        values: (n,), sample by sample.
        sample: the sample of each value (n,); every sample has some.
        border: the same at all places.
    """
    width, count = len(border), 2 * (int(sample[-1]) + 1)
    place = torch.arange(len(values), device=values.device) + width * (2 * sample + 1)
    made = values.new_empty(len(values) + count * width)
    outside = torch.ones_like(made, dtype=torch.bool).index_fill(0, place, False)
    made[place], made[outside] = values, border.to(values).repeat(count)
    return made


def _ptr_of(counts: Tensor) -> Tensor:
    return nn.functional.pad(counts.cumsum(0), (1, 0))


def with_contextual(sizes: Sizes) -> tuple[Contextual | None, Sizes]:
    """The states that a net reads beside its own input, if it reads some, and that input's sizes.

    ValueError for a task over features.
    """
    if sizes.pretrained is None:
        return None, sizes
    if sizes.vocabulary is None:
        raise ValueError(
            "net.embeddings are states of a net that reads tokens, and the task has features: "
            "leave them out"
        )
    made = Contextual(sizes.pretrained, sizes.vocabulary)
    return made, replace(sizes, vocabulary=made.words)
