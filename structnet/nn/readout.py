"""Readouts: from node states to what the head scores.

h: (N, directions * H) in node order; N nodes, B samples.
"""

import abc
from typing import Literal

import torch
from torch import Tensor, nn

from structnet.cell.renew import Renewable
from structnet.data.batch import Batch
from structnet.registry import readouts


def _sum(rows: Tensor, sample: Tensor, num_samples: int) -> Tensor:
    return rows.new_zeros(num_samples, *rows.shape[1:]).index_add(0, sample, rows)


def _mean(rows: Tensor, sample: Tensor, num_samples: int) -> Tensor:
    total = _sum(rows, sample, num_samples)
    # Not bincount, whose size depends on data, so that it can't be exported.
    count = _sum(torch.ones_like(sample), sample, num_samples).to(rows.dtype)
    return total / count.clamp(min=1)[:, None]


def _max(rows: Tensor, sample: Tensor, num_samples: int) -> Tensor:
    # Zeros for a sample without nodes, like the mean.
    none = rows.new_zeros(num_samples, rows.shape[1])
    at = sample[:, None].expand_as(rows)
    return none.scatter_reduce(0, at, rows, "amax", include_self=False)


POOLS = {"mean": _mean, "max": _max}


class Readout(Renewable):
    """Called with node states h and a batch, returns what is scored.

    One row per sample, (B, output_size), or one per node, (N, output_size), if `per_node`; several
    per node, one after the other, where a readout says so.

    Arguments:
        size: the size of a node's state, of all directions together.
        directions: the number of directions.

    Attributes:
        per_node: whether there is a row per node.
        penalty: what the last call in training adds to the training loss, (); None for nothing.
    """

    per_node: bool = False
    penalty: Tensor | None = None

    def __init__(self, size: int, directions: int):
        super().__init__()
        self.output_size = size
        self.directions = directions

    @abc.abstractmethod
    def forward(self, h: Tensor, batch: Batch) -> Tensor: ...

    def weights(self, h: Tensor, batch: Batch) -> Tensor | None:
        """The share of each node in its sample's row, for each of the weighted means in it.

        (N, means), which add up to 1 over a sample; None for a readout that does not weigh nodes.
        """
        return None


@readouts.register("every")
class Every(Readout):
    """Every node's state."""

    per_node = True

    def forward(self, h: Tensor, batch: Batch) -> Tensor:
        return h


@readouts.register("directions")
class Directions(Readout):
    """Every node's state in each direction by itself: rows of all directions, node by node.

    The head is then the same for all directions, as that of ELMo's two language models (Peters et
    al. 2018, section 3.1). For a task with a target per node and direction.
    """

    per_node = True

    def __init__(self, size: int, directions: int):
        super().__init__(size, directions)
        self.output_size = size // directions

    def forward(self, h: Tensor, batch: Batch) -> Tensor:
        return h.reshape(-1, self.output_size)


@readouts.register("root")
class Root(Readout):
    """The state of the root in each direction: the node that no other node reads.

    A tree's root; a chain's last step, where it is also called `last`; of a graph with direction
    both, its sinks and its sources, as in DAGNN (Thost and Chen 2021), which takes their maximum.

    Arguments:
        pool: how the states of a sample's roots are combined if there are several: mean or max,
            component by component.
    """

    def __init__(self, size: int, directions: int, *, pool: Literal["mean", "max"] = "mean"):
        super().__init__(size, directions)
        self.pool = POOLS[pool]

    def forward(self, h: Tensor, batch: Batch) -> Tensor:
        sample = batch.sample_of_node()
        return torch.cat(
            [
                self.pool(part.index_select(0, plan.sinks), sample[plan.sinks], batch.num_samples)
                for part, plan in zip(h.chunk(self.directions, 1), batch.plans, strict=True)
            ],
            dim=1,
        )


@readouts.register("last")
class Last(Root):
    """The state of the last step and, backwards, of the first: what `root` is called on chains."""


@readouts.register("ends")
class Ends(Readout):
    """The states of a sample's first and last node, side by side; zeros for one without nodes."""

    def __init__(self, size: int, directions: int):
        super().__init__(size, directions)
        self.output_size = 2 * size

    def forward(self, h: Tensor, batch: Batch) -> Tensor:
        ends = torch.stack([batch.ptr[:-1], batch.ptr[1:] - 1])
        # A row of zeros is appended for samples without nodes.
        # Not len(h): where the readout is exported, the number of nodes is symbolic.
        ends = ends.where(batch.ptr.diff() > 0, h.shape[0])
        first, last = nn.functional.pad(h, (0, 0, 0, 1))[ends]
        return torch.cat([first, last], dim=1)


def compare_pair(a: Tensor, b: Tensor) -> Tensor:
    """The distance |a - b| and the angle a * b of vectors (B, size), component by component.

    (B, 2 size), the same in either order; Tai et al. (2015), eq. 15.
    """
    return torch.cat([(a - b).abs(), a * b], dim=1)


@readouts.register("pair")
class Pair(Readout):
    """Two structures side by side in every sample, such as a forest of two trees, compared.

    The distance |a - b| and the angle a * b of the states of the two nodes that no other node
    reads, component by component and in each direction (Tai et al. 2015, section 4.2, eq. 15), so
    that both orders have the same scores. For structures whose order matters, or of which each is
    read by itself, there is net=siamese.

    ValueError for a sample that has not two such nodes in every direction, as trees read downwards.
    """

    def __init__(self, size: int, directions: int):
        super().__init__(size, directions)
        self.output_size = 2 * size

    def forward(self, h: Tensor, batch: Batch) -> Tensor:
        sample, found = batch.sample_of_node(), []
        for part, plan in zip(h.chunk(self.directions, 1), batch.plans, strict=True):
            self._check(sample[plan.sinks], batch.num_samples, len(found))
            # In the order of nodes, those of a sample are next to each other.
            found.append(compare_pair(part[plan.sinks[::2]], part[plan.sinks[1::2]]))
        return torch.cat(found, dim=1)

    def _check(self, sample: Tensor, num_samples: int, direction: int) -> None:
        """ValueError, given the sample of every sink, for the first that has not two."""
        count = torch.bincount(sample, minlength=num_samples)
        wrong = (count != 2).nonzero()[:, 0].tolist()
        if wrong:
            where = f" in direction {direction + 1} of {self.directions}"
            raise ValueError(
                f"readout 'pair' compares two structures side by side: sample {wrong[0]} of the "
                f"batch has {int(count[wrong[0]])} nodes that no other node reads"
                f"{where if self.directions > 1 else ''}, expected 2; give samples of two roots "
                "and a topology that reads towards them, or take readout=root or mean"
            )


@readouts.register("mean")
class Mean(Readout):
    """The mean of a sample's states."""

    def forward(self, h: Tensor, batch: Batch) -> Tensor:
        return _mean(h, batch.sample_of_node(), batch.num_samples)


@readouts.register("max")
class Max(Readout):
    """The maximum of a sample's states, component by component."""

    def forward(self, h: Tensor, batch: Batch) -> Tensor:
        return _max(h, batch.sample_of_node(), batch.num_samples)


def _shares(score: Tensor, sample: Tensor, num_samples: int) -> Tensor:
    """The softmax of scores (N, means) over each sample's nodes."""
    at = sample[:, None].expand_as(score)
    largest = score.new_full((num_samples, score.shape[1]), -torch.inf)
    largest = largest.scatter_reduce(0, at, score.detach(), "amax")
    weight = (score - largest[sample]).exp()
    return weight / _sum(weight, sample, num_samples)[sample]


@readouts.register("attention")
class Attention(Readout):
    """A mean weighted by a softmax of learned scores.

    a_v = softmax over the sample of w' tanh(W h_v); Yang et al. (2016), eq. 5-7.
    """

    def __init__(self, size: int, directions: int):
        super().__init__(size, directions)
        self.score = nn.Sequential(nn.Linear(size, size), nn.Tanh(), nn.Linear(size, 1, bias=False))

    def weights(self, h: Tensor, batch: Batch) -> Tensor:
        return _shares(self.score(h), batch.sample_of_node(), batch.num_samples)

    def forward(self, h: Tensor, batch: Batch) -> Tensor:
        return _sum(h * self.weights(h, batch), batch.sample_of_node(), batch.num_samples)


@readouts.register("self_attentive")
class SelfAttentive(Readout):
    """Several means side by side, each weighted by a softmax of learned scores of its own.

    A = softmax over the sample of W2 tanh(W1 H'), M = A H; Lin et al. (2017), eq. 6-7. Their
    penalty keeps the means apart: the squared Frobenius norm of A A' - I, eq. 8, as the mean over
    the samples of a batch.

    Arguments:
        hops: the number of means; r in the paper.
        scores: the size of the hidden layer of the scores; d_a in the paper.
        penalty: the coefficient of the penalty in the training loss.
    """

    def __init__(
        self,
        size: int,
        directions: int,
        *,
        hops: int = 4,
        scores: int = 64,
        penalty: float = 0.1,
    ):
        super().__init__(size, directions)
        for option, value in (("hops", hops), ("scores", scores)):
            if value < 1:
                raise ValueError(f"option {option!r} is at least 1, got {value}")
        if penalty < 0:
            raise ValueError(f"option 'penalty' is at least 0, got {penalty}")
        self.output_size, self.coefficient = hops * size, penalty
        self.score = nn.Sequential(
            nn.Linear(size, scores, bias=False), nn.Tanh(), nn.Linear(scores, hops, bias=False)
        )

    def weights(self, h: Tensor, batch: Batch) -> Tensor:
        return _shares(self.score(h), batch.sample_of_node(), batch.num_samples)

    def forward(self, h: Tensor, batch: Batch) -> Tensor:
        sample, weights = batch.sample_of_node(), self.weights(h, batch)
        self.penalty = None
        if self.training and self.coefficient:
            overlap = _sum(weights[:, :, None] * weights[:, None], sample, batch.num_samples)
            apart = overlap - torch.eye(weights.shape[1], dtype=h.dtype, device=h.device)
            self.penalty = self.coefficient * apart.square().sum((1, 2)).mean()
        return _sum(weights[:, :, None] * h[:, None], sample, batch.num_samples).flatten(1)
