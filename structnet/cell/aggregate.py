"""Aggregates of unordered predecessors, which node gates read.

n: nodes, K: predecessors, H: size of the output, h: the predecessors' outputs (n, K, H). Without
predecessors that is the null state alone, whose aggregate is zero.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from structnet.cell.frame import no_predecessors
from structnet.cell.product import dense, product
from structnet.cell.slots import largest, mean, softmax


class Sum(nn.Module):
    """sum_k h_k."""

    def forward(self, h: Tensor) -> Tensor:
        return h.sum(1)


class Mean(nn.Module):
    """sum_k h_k / K."""

    def forward(self, h: Tensor) -> Tensor:
        return mean(h)


class Max(nn.Module):
    """The largest h_k, component by component; ties share the gradient."""

    def forward(self, h: Tensor) -> Tensor:
        return largest(h)


class Attention(nn.Module):
    """sum_k a_k h_k, a = softmax over the predecessors of w'h_k.

    Thost and Chen (2021), "Directed acyclic graph neural networks" (DAGNN), whose scores are
    w_1'q_v + w_2'h_k for a query q_v, the node's own representation in the layer below. Without a
    nonlinearity around it, w_1'q_v is the same for all k and cancels in the softmax: it is left
    out, and nothing changes. Edge features add a learned term to a score, as theirs do.
    """

    def __init__(self, size: int):
        super().__init__()
        self.score = nn.Parameter(nn.init.xavier_uniform_(torch.empty(size, 1)))

    def forward(self, h: Tensor, edge: Tensor | None = None) -> Tensor:
        """`edge` (n, K, 1): what edge features add to the scores."""
        score = product(h, self.score)
        if edge is not None:
            score = score + edge
        return (softmax(score).to(h.dtype) * h).sum(1)


class Gated(nn.Module):
    """sum_k g(h_k) m(h_k), g a logistic layer and m a linear one without bias.

    Zhang et al. (2019), "D-VAE: A variational autoencoder for directed acyclic graphs", eq. 5.
    """

    def __init__(self, size: int):
        super().__init__()
        self.recurrent_gate, self.recurrent_map = (
            nn.Parameter(nn.init.orthogonal_(torch.empty(size, size))) for _ in range(2)
        )
        self.bias = nn.Parameter(torch.zeros(size))

    def forward(self, h: Tensor) -> Tensor:
        if no_predecessors():
            return h.sum(1)
        gate = (dense(h, self.recurrent_gate) + self.bias).sigmoid()
        return (gate * dense(h, self.recurrent_map)).sum(1).to(h.dtype)


Aggregate = Literal["sum", "mean", "max", "attention", "gated"]
AGGREGATES = {"sum": Sum, "mean": Mean, "max": Max, "attention": Attention, "gated": Gated}


def make_aggregate(name: str, size: int) -> nn.Module:
    """The aggregate of this name for outputs of this size; ValueError for an unknown name."""
    if name not in AGGREGATES:
        raise ValueError(
            f"option 'aggregate' is {' or '.join(map(repr, AGGREGATES))}, got {name!r}"
        )
    kind = AGGREGATES[name]
    return kind(size) if name in ("attention", "gated") else kind()
