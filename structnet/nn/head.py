"""Heads: from what is scored to scores over classes, and to the cross entropy of targets.

h: (n, size), what a readout gives; C classes, y: targets (n,).
"""

import abc
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from structnet.cell.renew import Renewable
from structnet.data.batch import Batch
from structnet.nn.sizes import Sizes
from structnet.registry import heads


class Scores(abc.ABC):
    """Scores of n nodes or samples over C classes, computed only as far as they are asked for.

    A head returns it in place of a tensor of scores (n, C), where the cross entropy of the targets
    takes less than all scores.

    Attributes:
        joint: whether rows depend on each other, as the classes of a sample's nodes do by a
            conditional random field: rows can't be taken out then, targets may be IGNORE, and
            `log_probs` are those of every row by itself.
    """

    joint: bool = False

    @abc.abstractmethod
    def __len__(self) -> int: ...

    @abc.abstractmethod
    def __getitem__(self, rows: Any) -> "Scores":
        """The scores of some rows: a slice, indices or a mask."""

    @abc.abstractmethod
    def cross_entropy(self, y: Tensor) -> Tensor:
        """The cross entropy of every target in nats (n,); every target is a class."""

    @abc.abstractmethod
    def log_probs(self) -> Tensor:
        """The logarithms of all probabilities (n, C)."""

    def best(self) -> Tensor:
        """The most probable classes (n,)."""
        return self.log_probs().argmax(1)


def plain_scores(scores: Scores) -> Tensor:
    """The log-probabilities (n, C); of joint scores the most probable classes (n,)."""
    return scores.best() if scores.joint else scores.log_probs()


class Head(Renewable):
    """Called with what is scored, h (n, size), returns scores (n, num_outputs), or `Scores`.

    Arguments:
        size: the size of what is scored.
        sizes: what the task tells of its data: `num_outputs`, and `embedding` where weights are
            shared.
    """

    # Whether it can share the weights of `sizes.embedding`.
    ties: bool = False
    # The names of weights that divide all scores by a number when they are divided by it.
    linear: tuple[str, ...] = ()

    def __init__(self, size: int, sizes: Sizes):
        """ValueError for an embedding to share weights with, where it can't."""
        super().__init__()
        if sizes.embedding is not None and not self.ties:
            able = [name for name in heads.names() if getattr(heads[name], "ties", False)]
            raise ValueError(
                f"{heads.called(self)} does not share weights with the embedding: leave out "
                f"net.tied, or take head={' or '.join(able)}"
            )
        self.size, self.num_outputs = size, sizes.num_outputs

    @abc.abstractmethod
    def forward(self, h: Tensor) -> "Tensor | Scores": ...


class JointHead(Head):
    """A head that scores the nodes of a sample together; nets call `score` in its place."""

    @abc.abstractmethod
    def score(self, h: Tensor, batch: Batch) -> Scores:
        """The joint scores of all nodes of a batch, given h (N, size)."""


@heads.register("softmax")
class Softmax(Head):
    """One linear map to all scores; probabilities are their softmax.

    With the embedding's weights (`net.tied`) as in Press and Wolf (2017) and Inan et al. (2017):
    class c is scored by the embedding of token c, after a linear map where sizes differ.
    """

    ties = True
    linear = ("weight", "bias")

    def __init__(self, size: int, sizes: Sizes):
        """ValueError where weights are shared, and classes are not the tokens."""
        super().__init__(size, sizes)
        # In a list, so that the weight is the embedding's parameter alone.
        self.source = [sizes.embedding]
        self.map: nn.Module = nn.Identity()
        if sizes.embedding is None:
            linear = nn.Linear(size, sizes.num_outputs)
            self.weight, self.bias = linear.weight, linear.bias
            return
        self.linear = ()
        tokens, width = self.rows.shape
        if tokens != sizes.num_outputs:
            raise ValueError(
                f"net.tied shares the weights of {tokens} tokens with {sizes.num_outputs} classes: "
                "it is for tasks that predict tokens, leave it out"
            )
        self.bias = nn.Parameter(torch.zeros(tokens))
        if width != size:
            self.map = nn.Linear(size, width, bias=False)

    @property
    def rows(self) -> Tensor:
        """The weights of all classes (C, size)."""
        embedding: Any = self.source[0]
        return self.weight if embedding is None else embedding.weight

    def forward(self, h: Tensor) -> Tensor | Scores:
        return F.linear(self.map(h), self.rows, self.bias)


@heads.register("sampled")
class Sampled(Softmax):
    """A softmax whose loss in training is over the target and a sample of all classes.

    Jean et al. (2015), section 3; Blanc and Rendle (2018), section 2: scores of classes in the
    sample are corrected by the logarithm of their expected count in it, so that the sum over all
    classes is estimated without bias. All targets of a batch share one sample, drawn from the
    classes' counts in training to the power of 3/4. In evaluation all classes are scored. For large
    vocabularies: time and memory of a training step grow with the sample, not with the vocabulary.

    Arguments:
        samples: the number of classes in a sample.
    """

    def __init__(self, size: int, sizes: Sizes, *, samples: int = 1024):
        """ValueError for a sample that is empty or not smaller than all classes."""
        super().__init__(size, sizes)
        if not 1 <= samples < sizes.num_outputs:
            raise ValueError(
                f"option 'samples' of head sampled is from 1 to below the {sizes.num_outputs} "
                f"classes, got {samples}; for few classes take head=softmax"
            )
        self.samples = samples
        share = class_counts(sizes) ** 0.75
        self.share: Tensor
        self.register_buffer("share", share / share.sum(), persistent=False)

    def forward(self, h: Tensor) -> Tensor | Scores:
        if not self.training:
            return super().forward(h)
        return SampledScores(self, self.map(h))


class SampledScores(Scores):
    """Scores of which the cross entropy is estimated with a sample of the classes."""

    def __init__(self, head: Sampled, h: Tensor):
        self.head, self.h = head, h

    def __len__(self) -> int:
        return len(self.h)

    def __getitem__(self, rows: Any) -> "SampledScores":
        return SampledScores(self.head, self.h[rows])

    def cross_entropy(self, y: Tensor) -> Tensor:
        head, share = self.head, self.head.share
        drawn = torch.multinomial(share, head.samples, replacement=True)
        # The expected count of a class, of which a score is corrected by the logarithm.
        expected = (share * head.samples).clamp(min=torch.finfo(share.dtype).tiny).log()
        # Looked up at once, so that there is one gradient of the size of all rows.
        both = torch.cat([y, drawn])
        rows, bias = F.embedding(both, head.rows), head.bias[both]
        own = (self.h * rows[: len(y)]).sum(1) + bias[: len(y)]
        others = F.linear(self.h, rows[len(y) :], bias[len(y) :] - expected[drawn])
        others = others.masked_fill(drawn == y[:, None], -torch.inf)
        return torch.cat([own[:, None], others], 1).logsumexp(1) - own

    def log_probs(self) -> Tensor:
        return F.linear(self.h, self.head.rows, self.head.bias).log_softmax(1)


@heads.register("adaptive")
class Adaptive(Head):
    """Adaptive softmax: frequent classes in the first of several softmaxes, rare ones in clusters.

    Grave et al. (2017), section 3, by torch's AdaptiveLogSoftmaxWithLoss. For large vocabularies:
    a step takes a fraction of the time and memory of the full softmax.

    Arguments:
        cutoffs: the numbers of most frequent classes at which clusters begin, ascending, as in
            "2000,10000"; by default a sixteenth and a quarter of all.
        shrink: how many times smaller a cluster's input is than that of the one before.
    """

    def __init__(self, size: int, sizes: Sizes, *, cutoffs: str | None = None, shrink: float = 4.0):
        """ValueError for cutoffs that are not ascending numbers below the number of classes."""
        super().__init__(size, sizes)
        if not 1 <= shrink < float("inf"):
            raise ValueError(f"option 'shrink' is at least 1 and finite, got {shrink}")
        at = _cutoffs(cutoffs, sizes.num_outputs)
        if size < shrink ** len(at):
            raise ValueError(
                f"head adaptive of {len(at)} clusters, each {shrink:g} times smaller than the one "
                f"before, needs an input of {shrink ** len(at):g} features, got {size}: take a "
                "larger net.hidden_size, or a smaller head.shrink"
            )
        self.clusters = nn.AdaptiveLogSoftmaxWithLoss(size, sizes.num_outputs, at, shrink)
        # Its losses have the type of h, and can not be filled from scores of lower precision.
        for scores in (self.clusters.head, *self.clusters.tail):
            scores.register_forward_hook(_in_full)
        # The place of every class in the order of falling counts.
        order = class_counts(sizes).argsort(descending=True, stable=True)
        self.place: Tensor
        place = torch.empty_like(order).scatter_(0, order, torch.arange(len(order)))
        self.register_buffer("place", place, persistent=False)

    def forward(self, h: Tensor) -> Scores:
        return AdaptiveScores(self, h)


class AdaptiveScores(Scores):
    """Scores by an adaptive softmax."""

    def __init__(self, head: Adaptive, h: Tensor):
        self.head, self.h = head, h

    def __len__(self) -> int:
        return len(self.h)

    def __getitem__(self, rows: Any) -> "AdaptiveScores":
        return AdaptiveScores(self.head, self.h[rows])

    def cross_entropy(self, y: Tensor) -> Tensor:
        if not len(y):
            return self.h.sum(1)
        return -self.head.clusters(_full(self.h), self.head.place[y]).output

    def log_probs(self) -> Tensor:
        return self.head.clusters.log_prob(_full(self.h))[:, self.head.place]


def _full(x: Tensor) -> Tensor:
    """A tensor in float32, or higher precision if it has that."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _in_full(module: nn.Module, given: Any, output: Tensor) -> Tensor:
    return _full(output)


def class_counts(sizes: Sizes) -> Tensor:
    """How often every class occurs in training (C,), where classes are tokens; else all equally.

    The unknown word, token 0, counts as the most frequent one, since its count is not known.
    """
    words = sizes.vocabulary
    if words is None or len(words) != sizes.num_outputs or len(words) < 2:
        return torch.ones(sizes.num_outputs)
    counts = [max(words.counts.values()), *words.counts.values()]
    # A word of a given vocabulary may not occur in training.
    return torch.tensor(counts, dtype=torch.float32).clamp(min=1)


def _cutoffs(text: str | None, classes: int) -> list[int]:
    if text is None:
        found = [classes // 16, classes // 4]
        if found[0] < 1:
            raise ValueError(
                f"head adaptive is for many classes, got {classes}: take head=softmax, or set "
                "head.cutoffs"
            )
        return found
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    ascending = all(a < b for a, b in zip([0, *found], [*found, classes], strict=True))
    if not found or not ascending:
        raise ValueError(
            f"option 'cutoffs' is ascending whole numbers from 1 to below the {classes} classes, "
            f"with commas, got {text!r}"
        )
    return found
