"""What tasks that write a sequence for every source have in common."""

import abc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

import structnet as sn
from structnet.plugins.sequence.generation.beams import Hypothesis, search_between
from structnet.plugins.sequence.generation.starts import END, START
from structnet.plugins.sequence.generation.texts import UNKNOWN
from structnet.plugins.sequence.generation.whole import right_texts
from structnet.plugins.sequence.language.measures import nats
from structnet.plugins.sequence.language.sampling import Schedule, drawn_share, mixed, share_of
from structnet.plugins.sequence.topology import Chain
from structnet.plugins.sequence.translation.net import Seq2Seq
from structnet.plugins.sequence.translation.picture import alignments

# What plans targets. One for all, as plans are cached by it.
CHAIN = Chain()
# The first classes: the unknown token, and the marks of beginning and end.
MARKS = ("", START, END)
# More tokens than any text.
MOST_TOKENS = 100_000
# The samples that pictures in training are of.
SHOWN = 3


class Written(NamedTuple):
    """A text that a net has written, and its probability."""

    text: str
    probability: float


class Transduction(sn.Task):
    """Write a sequence of tokens for every source, a structure of any kind.

    A sample is the source, with the target as its part: a chain that reads START and the target's
    tokens, and predicts them and END. The classes are the target's tokens, after MARKS.

    "exact" is the share of targets that are written without a mistake when the most probable token
    is taken at every step, "accuracy" the share of right tokens after the true ones before, and
    "nats_per_token" their mean cross entropy.

    Arguments:
        scheduled: scheduled sampling (Bengio et al. 2015): how the share of tokens grows that the
            decoder reads in training of what it has drawn itself; constant, or none.
        drawn: that share at the end of training, null for a quarter. One minus it is the teacher
            forcing ratio.
        smoothing: label smoothing (Szegedy et al. 2016, section 7): the share of the target's
            probability that goes to all tokens alike.
        beam: the beams of the search in tests and predictions; 1 takes the most probable token at
            every step.
        penalty: the power of its length penalty (Wu et al. 2016, eq. 14).
    """

    structures = ("sequence",)
    parts = ("target",)
    monitor = "exact"
    takes_scores = True
    learned = ("longest",)

    def __init__(
        self,
        *,
        scheduled: Schedule = "none",
        drawn: float | None = None,
        smoothing: float = 0.0,
        beam: int = 1,
        penalty: float = 0.6,
    ):
        """ValueError for an option out of range."""
        if not 0 <= smoothing <= 1:
            raise ValueError(f"option 'smoothing' is from 0 to 1, got {smoothing}")
        if beam < 1 or penalty < 0:
            raise ValueError(
                f"option 'beam' is at least 1 and 'penalty' at least 0, got {beam} and {penalty}"
            )
        self.scheduled: Schedule = scheduled
        self.drawn, self.smoothing = drawn_share(scheduled, drawn), smoothing
        self.beam, self.penalty = beam, penalty
        self.longest = 0

    def commands(self, topology: sn.Topology) -> Iterator[Sequence[str]]:
        yield "translate", "text=TEXT"
        yield from super().commands(topology)

    @abc.abstractmethod
    def join(self, tokens: Sequence[str]) -> str:
        """The text of a target's tokens."""

    def know(self, vocabulary: sn.Vocabulary | None, learned: Mapping[str, Any]) -> None:
        longest, classes = learned.get("longest"), learned.get("classes")
        if longest is not None and not (type(longest) is int and 0 < longest <= MOST_TOKENS):
            raise ValueError(f"learned, 'longest' must be a number of tokens, got {longest!r}")
        if classes is not None and tuple(classes[: len(MARKS)]) != MARKS:
            raise ValueError(
                f"learned, 'classes' must begin with {list(MARKS)}, got {classes[: len(MARKS)]}"
            )
        super().know(vocabulary, learned)
        vars(self).pop("ids", None)

    @cached_property
    def ids(self) -> dict[str, int]:
        """The class of each token of targets."""
        return {token: index for index, token in enumerate(self.classes)}

    def target(self, tokens: Sequence[str] | None) -> sn.Sample:
        """The chain that writes tokens; of None, which are not known, its first step."""
        ids = [self.ids.get(token, UNKNOWN) for token in tokens or ()]
        start, end = MARKS.index(START), MARKS.index(END)
        x = np.array([start, *ids], np.int64)
        y = np.array([sn.IGNORE] if tokens is None else [*ids, end], np.int64)
        return sn.Sample(len(x), _one_each(x), y, topology=CHAIN)

    def prepare(self, net: nn.Module, batch: sn.Batch, states: Any, done: float) -> sn.Batch:
        share = share_of(self.scheduled, self.drawn, done)
        if not share:
            return batch
        (target,) = batch.parts
        return replace(batch, parts=(mixed(_writer(net).stepper(batch), target, share),))

    def loss(self, output: Any, batch: sn.Batch) -> Tensor:
        (target,) = batch.parts
        if not self.smoothing:
            return self.cross_entropy(output, target.y)
        scores = output if isinstance(output, Tensor) else output.log_probs()
        share = self.smoothing
        return nn.functional.cross_entropy(scores, target.y, label_smoothing=share)

    def num_targets(self, output: Any, batch: sn.Batch) -> Tensor:
        (target,) = batch.parts
        return super().num_targets(output, target)

    def metrics(self) -> dict[str, Any]:
        from torchmetrics import MeanMetric
        from torchmetrics.classification import BinaryAccuracy, MulticlassAccuracy

        return {
            "exact": BinaryAccuracy(),
            "accuracy": MulticlassAccuracy(self.num_outputs, average="micro"),
            "nats_per_token": MeanMetric(),
            **{kind: BinaryAccuracy() for kind in self.kinds},
        }

    def measured(
        self, output: Tensor | sn.Scores, batch: sn.Batch
    ) -> dict[str, tuple[Tensor, Tensor]]:
        (target,) = batch.parts
        each = nats(output, target.y)
        known = output if isinstance(output, Tensor) else output.log_probs()
        scores, right = right_texts(known, target, [UNKNOWN, MARKS.index(START)])
        wanted = torch.ones_like(right)
        of_kind = {name: batch.kind == index for index, name in enumerate(self.kinds)}
        return {
            "exact": (right, wanted),
            # Several processes exchange what is measured: not the scores of all words.
            "accuracy": (scores.argmax(1), target.y),
            "nats_per_token": (each, torch.ones_like(each)),
            **{name: (right[mine], wanted[mine]) for name, mine in of_kind.items()},
        }

    def write(
        self, net: nn.Module, batch: sn.Batch, beam: int | None = None, penalty: float | None = None
    ) -> list[list[Hypothesis]]:
        """The best targets that a net finds for every sample, as classes, END the last.

        ValueError for a net that writes nothing.

        Arguments:
            net: the net.
            batch: the sources.
            beam, penalty: in place of the task's.
        """
        net = _writer(net)
        beam = self.beam if beam is None else beam
        return search_between(
            net.stepper(batch.to(next(net.parameters()).device)),
            MARKS.index(START),
            MARKS.index(END),
            beams=beam,
            length=self.longest_for(int(batch.ptr.diff().max())),
            # Of one beam the first text that ends is taken.
            penalty=0 if beam == 1 else self.penalty if penalty is None else penalty,
            banned=[UNKNOWN],
            eager=True,
        )

    def longest_for(self, nodes: int) -> int:
        """The greatest length of what is written, in tokens, for a batch of sources.

        Arguments:
            nodes: the number of nodes of the largest source.
        """
        return min(MOST_TOKENS, max(self.longest, nodes) * 5 // 4 + 5)

    def tokens(self, found: Hypothesis) -> list[str]:
        """The tokens that a net has written, without END."""
        return [self.classes[token] for token in found.tokens if token != MARKS.index(END)]

    def text(self, found: Hypothesis) -> str:
        """The text of what a net has written."""
        return self.join(self.tokens(found))

    def source_words(self, sample: sn.Sample) -> list[tuple[str, int]]:
        """The words of a source in pictures, each with the number of its nodes."""
        names = self.node_names(sample) or [str(node) for node in range(sample.num_nodes)]
        return [(name, 1) for name in names]

    def target_words(self, tokens: Sequence[str]) -> list[tuple[str, int]]:
        """The words of a target in pictures, each with the number of its tokens."""
        return [(token, 1) for token in tokens]

    def answer(self, net: nn.Module, batch: sn.Batch) -> list[Written]:
        """What the net writes for every sample, and its probability."""
        return [
            Written(self.text(best), float(np.exp(best.log_prob)))
            for best, *_ in self.write(net, batch)
        ]

    def illustrate(
        self, net: nn.Module, topology: sn.Topology, samples: Sequence[sn.Sample]
    ) -> dict[str, Any]:
        """What the net attends to in the first samples of the split, the same ones every time."""
        if _writer(net).decoder.attention is None:
            return {}
        some = [samples[at] for at in range(min(SHOWN, len(samples)))]
        batch = sn.collate(some, topology)
        found = [self.tokens(best) for best, *_ in self.write(net, batch, 1)]
        pictures = alignments(self, net, topology, some, found)
        return {f"attention-{number}": one for number, one in enumerate(pictures, start=1)}


def classes_of(tokens: Mapping[str, int]) -> list[str]:
    """The classes of a task whose targets have these tokens."""
    return [*MARKS, *tokens]


def _one_each(ids: np.ndarray) -> sn.Tokens:
    return sn.Tokens(ids, np.arange(len(ids) + 1))


def _writer(net: nn.Module) -> Seq2Seq:
    if not isinstance(net, Seq2Seq):
        raise ValueError(f"{sn.nets.called(net)} writes nothing: train one with net=seq2seq")
    return net
