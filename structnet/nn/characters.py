"""The input layer of how words are written: a vector for every token, from its characters.

L: bytes of all tokens, T: tokens, E: size of a byte's embedding.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from structnet.cell.renew import Renewable
from structnet.data.batch import Tokens
from structnet.nn.readout import POOLS
from structnet.nn.recurrence import Recurrence
from structnet.registry import topologies
from structnet.topology.plan import Plan
from structnet.topology.schedule import schedule

Reader = Literal["cnn", "lstm"]
BYTES = 256
# The size of a byte's embedding, and the number of bytes that a convolution sees at once.
EMBEDDED, WINDOW = 32, 5


class Characters(Renewable):
    """What a node's tokens look like: the sum over them of a vector for each (N, size).

    Called with `Tokens` that have their spelling. Characters are the bytes of UTF-8, as in
    Jozefowicz et al. (2016) and ELMo (Peters et al. 2018), so that none is unknown and
    nothing is learned from data before training; those of English are one byte, others up to four.

    Arguments:
        reader: cnn, a convolution over windows of five bytes, and its maximum over the word (Ma and
            Hovy 2016, section 2.1, with three); or lstm, the last states of an LSTM in both
            directions (Lample et al. 2016, section 4.1).
        size: the size of a token's vector.
        executor: what runs the LSTM.
    """

    def __init__(self, reader: Reader, size: int, executor: str = "auto"):
        """ValueError for a size that is too small or, of an LSTM, odd."""
        super().__init__()
        if size < 1 or (reader == "lstm" and size % 2):
            raise ValueError(
                "option 'character_size' is at least 1 and, with characters=lstm, even, as half of "
                f"it is read in each direction; got {size}"
            )
        self.size = size
        self.embedding = nn.Embedding(BYTES, EMBEDDED)
        nn.init.normal_(self.embedding.weight, std=0.3)
        self.reader: nn.Module
        if reader == "cnn":
            self.reader = Convolved(EMBEDDED, size)
        else:
            self.reader = Read(EMBEDDED, size, executor)

    def forward(self, tokens: Tokens) -> Tensor:
        """ValueError for tokens without spelling."""
        spelling = tokens.spelling
        if spelling is None:
            raise ValueError(
                "net.characters reads how words are written, and the task's tokens do not say: "
                "leave it out, or make them by vocabulary.tokens(words, spelling=...)"
            )
        if not len(tokens.ids):
            return self.embedding.weight.new_zeros(len(tokens), self.size)
        words = self.reader(self.embedding(spelling.ids.long()), spelling.ptr)
        node = torch.arange(len(tokens), device=words.device)
        node = node.repeat_interleave(tokens.ptr.diff(), output_size=len(words))
        return words.new_zeros(len(tokens), self.size).index_add(0, node, words)


class Convolved(nn.Module):
    """A convolution over the bytes of each word by itself, a ReLU and the maximum, (T, size)."""

    def __init__(self, input_size: int, size: int):
        super().__init__()
        self.filters = nn.Linear(WINDOW * input_size, size)

    def forward(self, x: Tensor, ptr: Tensor) -> Tensor:
        """Words own the rows ptr[i]:ptr[i + 1] of x (L, E)."""
        at = torch.arange(len(x), device=x.device)
        word = torch.bucketize(at, ptr[1:], right=True)
        window = at[:, None] + torch.arange(WINDOW, device=x.device) - WINDOW // 2
        inside = (window >= ptr[word, None]) & (window < ptr[word + 1, None])
        # Beyond a word's ends there are zeros, from a row added behind the others.
        rows = window.where(inside, len(x))
        seen = F.embedding(rows, F.pad(x, (0, 0, 0, 1))).flatten(1)
        return POOLS["max"](self.filters(seen).relu(), word, len(ptr) - 1)


class Read(nn.Module):
    """The last states of an LSTM over the bytes of each word, in both directions, (T, size)."""

    def __init__(self, input_size: int, size: int, executor: str):
        super().__init__()
        topology = topologies.create("bichain")
        self.layer = Recurrence(topology, "lstm", input_size, size // 2, executor=executor)

    def forward(self, x: Tensor, ptr: Tensor) -> Tensor:
        """Words own the rows ptr[i]:ptr[i + 1] of x (L, E)."""
        plans = [plan.to(x.device) for plan in chains(ptr.cpu().numpy())]
        _, (h, _) = self.layer(x, plans, return_states="final")
        return h


def chains(ptr: np.ndarray) -> Sequence[Plan]:
    """The plans of chains that own the nodes ptr[i]:ptr[i + 1], forward and backward.

    They are those of topology bichain, which plans one sample after the other: too slow for the
    words of a batch, in every step.
    """
    lengths, nodes = np.diff(ptr), np.arange(ptr[-1])
    chain = np.repeat(np.arange(len(lengths)), lengths)
    forward, backward = nodes - ptr[chain], ptr[chain + 1] - 1 - nodes
    initial = len(nodes) + chain
    return [
        schedule(
            np.where(level == 0, initial, nodes + step)[:, None],
            num_initial=len(lengths),
            ptr=ptr,
            levels=level,
        )
        for level, step in ((forward, -1), (backward, 1))
    ]
