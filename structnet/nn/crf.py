"""A head whose classes depend on each other: a conditional random field on chains and trees.

N: nodes, C: classes, T: trees (of chains, the samples).
"""

from typing import Any

import torch
from torch import Tensor, nn

from structnet.data.batch import Batch
from structnet.data.cross_entropy import IGNORE
from structnet.nn.forest import (
    LOWEST,
    Forest,
    Potentials,
    best_labellings,
    inside,
    log_partition,
    outside,
    score,
)
from structnet.nn.head import JointHead, Scores
from structnet.nn.sizes import Sizes
from structnet.registry import heads
from structnet.topology.plan import Plan


@heads.register("crf")
class CRF(JointHead):
    """A conditional random field: scores of a node's class, and of classes that follow each other.

    On chains as in Lafferty et al. (2001) and Lample et al. (2016), section 2.2; on trees a node
    and the one that reads it are such a pair. Sums over all labellings are exact. What the task
    says must not follow each other, such as I-PER after B-LOC, has no probability.
    """

    def __init__(self, size: int, sizes: Sizes):
        super().__init__(size, sizes)
        classes = sizes.num_outputs
        self.own = nn.Linear(size, classes)
        self.follow = nn.Parameter(torch.zeros(classes, classes))
        self.first, self.last = (nn.Parameter(torch.zeros(classes)) for _ in range(2))
        allowed = sizes.transitions
        for name in ("follow", "first", "last"):
            given = None if allowed is None else torch.from_numpy(getattr(allowed, name))
            self.register_buffer(f"{name}_allowed", given, persistent=False)

    def forward(self, h: Tensor) -> Tensor:
        """The scores of every node's own class (N, C)."""
        own = self.own(h)
        return own.float() if own.dtype in (torch.float16, torch.bfloat16) else own

    def score(self, h: Tensor, batch: Batch) -> "FieldScores":
        """ValueError unless there is a row of h per node, and each is read by one other at most."""
        if len(h) != batch.num_nodes:
            raise ValueError(
                f"head crf scores the nodes of a sample together, got {len(h)} rows for "
                f"{batch.num_nodes} nodes: take readout=every and a task with a class per node"
            )
        own = self(h)
        rest = (self._allowed(name, own) for name in ("follow", "first", "last"))
        return FieldScores(Potentials(own, *rest), batch.plans[0])

    def _allowed(self, name: str, like: Tensor) -> Tensor:
        scores, allowed = getattr(self, name).to(like.dtype), getattr(self, f"{name}_allowed")
        return scores if allowed is None else scores.masked_fill(~allowed, LOWEST)


class FieldScores(Scores):
    """The distribution over the labellings of a batch's nodes, in node order."""

    joint = True

    def __init__(self, given: Potentials, plan: Plan):
        """Potentials whose `own` is in node order; ValueError for a plan that is not a forest."""
        self.plan, self.forest = plan, Forest.of(plan)
        self.given = given._replace(own=given.own.index_select(0, plan.order))

    def __len__(self) -> int:
        return len(self.given.own)

    def __getitem__(self, rows: Any) -> "FieldScores":
        raise TypeError("the classes of nodes depend on each other: rows can't be taken out")

    @property
    def log_partition(self) -> Tensor:
        """The logarithm of the sum over all labellings of every tree (T,)."""
        return log_partition(self.given, self.forest)

    def log_likelihood(self, y: Tensor) -> Tensor:
        """The log-probability of the targets of every tree (T,), in nats.

        Arguments:
            y: the targets (N,); those that are not known, IGNORE, are summed over.

        ValueError for targets that the task says must not follow each other.
        """
        y = y.index_select(0, self.plan.order)
        known = y != IGNORE
        if bool(known.all()):
            found = score(self.given, self.forest, y)
        else:
            classes = torch.arange(self.given.own.shape[1], device=y.device)
            others = known[:, None] & (y[:, None] != classes)
            own = self.given.own.masked_fill(others, LOWEST)
            found = log_partition(self.given._replace(own=own), self.forest)
        if bool((found == LOWEST).any()):
            sample = int(torch.searchsorted(self.plan.ptr, self._node_of(found), right=True)) - 1
            raise ValueError(
                f"the classes of sample {sample} of the batch must not follow each other, by the "
                "task's own transitions"
            )
        return found - self.log_partition

    def _node_of(self, scores: Tensor) -> Tensor:
        """The root of the first tree without a score."""
        root = self.forest.roots[(scores == LOWEST).nonzero()[0, 0]]
        return self.plan.order[root]

    def cross_entropy(self, y: Tensor) -> Tensor:
        """Minus the log-likelihood in nats, a tree's in equal shares to its known nodes (N,).

        Arguments:
            y: the targets (N,), IGNORE where not known.
        """
        known = (y != IGNORE).index_select(0, self.plan.order)
        tree = self.forest.tree
        counts = known.new_zeros(len(self.forest.roots), dtype=torch.long)
        counts = counts.index_add(0, tree, known.long()).clamp(min=1)
        shares = (-self.log_likelihood(y) / counts)[tree] * known
        return shares.index_select(0, self.plan.rank)

    def log_probs(self) -> Tensor:
        """The logarithms of the marginal probabilities of every node's classes (N, C)."""
        with torch.no_grad():
            found = inside(self.given, self.forest)
            ones = torch.ones_like(found.total)
            shares = outside(self.given, self.forest, found, ones).own
        return shares.log().index_select(0, self.plan.rank)

    def best(self) -> Tensor:
        """The most probable labelling (N,), by the Viterbi algorithm."""
        return self.k_best(1)[0][0]

    def k_best(self, k: int) -> tuple[Tensor, Tensor]:
        """The k most probable labellings of every tree, the best first.

        Labels (k, N), of which row i is the i-th best of every tree, and their log-probabilities
        (k, T), -inf where a tree has fewer labellings.
        """
        if k < 1:
            raise ValueError(f"k is at least 1, got {k}")
        with torch.no_grad():
            labels, scores = best_labellings(self.given, self.forest, k)
            return labels.index_select(1, self.plan.rank), scores - self.log_partition
