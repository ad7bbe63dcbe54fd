"""Attention of a decoder's steps to the nodes of their source.

B: samples, T: steps of the longest target, S: nodes of the largest source, N: nodes or steps of all
samples, A: size of what is compared, V: size of what is read, H: heads.
"""

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

Kind = Literal["dot", "additive"]


class Memory(NamedTuple):
    """The encoded nodes of B sources, padded to the largest.

    Arguments:
        keys: what queries are compared with (B, S, A).
        values: what is read (B, S, V).
        present: whether there is a node (B, S).
    """

    keys: Tensor
    values: Tensor
    present: Tensor


def places(ptr: Tensor) -> tuple[Tensor, int]:
    """The place of every node (N,) among B x S, and S; sample b owns nodes `ptr[b]:ptr[b + 1]`."""
    sizes = ptr.diff()
    widest, count = int(sizes.max()), int(ptr[-1])
    gaps = torch.arange(len(sizes), device=ptr.device) * widest - ptr[:-1]
    moved = gaps.repeat_interleave(sizes, output_size=count)
    return torch.arange(count, device=ptr.device) + moved, widest


def pad(rows: Tensor, at: Tensor, samples: int, widest: int) -> Tensor:
    """Rows (N, D) at their places in (B, S, D), which is zero elsewhere."""
    flat = rows.new_zeros(samples * widest, *rows.shape[1:]).index_copy(0, at, rows)
    return flat.view(samples, widest, *rows.shape[1:])


class Attention(nn.Module):
    """Weighted means of a source's nodes, for each step of its target.

    The weights are the softmax over the source's nodes of a score of the step's query q and the
    node's key k, both linear maps. dot: q'k (Luong et al. 2015, eq. 8, general); additive:
    v' tanh(q + k) (Bahdanau et al. 2015, appendix A.1.2). With several heads each compares a part
    of query and key, and has means of a part of the values, which are then linear maps as well
    (Vaswani et al. 2017, section 3.2.2).

    Arguments:
        query_size: the size of a step's state; also that of keys.
        memory_size: the size of a node's states, and of what is returned.
        kind: the score.
        heads: the number of heads, by which both sizes can be divided.
    """

    def __init__(self, query_size: int, memory_size: int, kind: Kind, heads: int):
        """ValueError for a number of heads that does not divide the sizes."""
        super().__init__()
        if heads < 1 or query_size % heads or memory_size % heads:
            raise ValueError(
                f"option 'heads' divides the size of the decoder's states, {query_size}, and of "
                f"the encoder's, {memory_size}, got {heads}"
            )
        self.kind, self.heads = kind, heads
        self.query = nn.Linear(query_size, query_size)
        self.key = nn.Linear(memory_size, query_size, bias=False)
        self.value = nn.Identity() if heads == 1 else nn.Linear(memory_size, memory_size)
        if kind == "additive":
            self.direction = nn.Parameter(torch.empty(heads, query_size // heads))
            bound = math.sqrt(heads / query_size)
            nn.init.uniform_(self.direction, -bound, bound)

    def remember(self, states: Tensor, ptr: Tensor) -> Memory:
        """The memory of sources, given the states (N, memory_size) of their nodes."""
        at, widest = places(ptr)
        samples = len(ptr) - 1
        present = pad(torch.ones_like(at, dtype=torch.bool), at, samples, widest)
        keys, values = self.key(states), self.value(states)
        keys, values = (pad(one, at, samples, widest) for one in (keys, values))
        return Memory(keys, values, present)

    def forward(self, steps: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """The means (B, T, memory_size), and their weights (B, H, T, S); steps (B, T, query_size).

        Weights of a source without nodes are equal, and its means zero.
        """
        query, key, value = map(self._parts, (self.query(steps), memory.keys, memory.values))
        if self.kind == "dot":
            score = query @ key.mT
        else:
            both = (query[:, :, :, None] + key[:, :, None]).tanh()
            score = (both * self.direction[:, None, None]).sum(-1)
        score = score.masked_fill(~memory.present[:, None, None], torch.finfo(score.dtype).min)
        weights = score.softmax(-1)
        return (weights @ value).transpose(1, 2).flatten(2), weights

    def _parts(self, rows: Tensor) -> Tensor:
        """Rows (B, n, D) as (B, H, n, D / H)."""
        return rows.unflatten(2, (self.heads, -1)).transpose(1, 2)
