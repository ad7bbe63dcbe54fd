"""Beam search: the most probable sequences of tokens.

M starts, K beams of each at most, C tokens.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

import torch
from torch import Tensor

from structnet.plugins.sequence.generation.stepping import Steps, log_probs

# How many of the largest values are looked at first.
FEW = 64
# What becomes of a sequence: it goes on, it is complete, or it is not wanted.
Fate = Literal["on", "end", "drop"]
Judge = Callable[[Sequence[int]], Fate]


@dataclass(frozen=True)
class Hypothesis:
    """A sequence that beam search has found.

    Arguments:
        tokens: its tokens, that which ends it included.
        log_prob: its log-probability in nats.
        score: by which it is ranked: `log_prob` over the length penalty.
    """

    tokens: tuple[int, ...]
    log_prob: float
    score: float


def length_penalty(length: int, power: float) -> float:
    """The divisor of a log-probability: ((5 + length) / 6) ** power, Wu et al. (2016), eq. 14."""
    return ((5 + length) / 6) ** power


def beam_search(
    steps: Steps,
    output: Any,
    *,
    beams: int,
    length: int,
    penalty: float = 0.6,
    judge: Judge | None = None,
    banned: Sequence[int] = (),
    eager: bool = False,
) -> list[list[Hypothesis]]:
    """The best sequences of each of M starts that are found, at most `beams` of each, best first.

    After every step, the `beams` most probable sequences go on; those among them that are complete
    are put aside, and others take their places. Sequences of `length` tokens are complete. With as
    many beams as there are sequences, all of them are found. What does not go on is dropped from
    the batch of the net. ValueError for an option out of range.

    Arguments:
        steps: the net, after what the M starts begin with.
        output: what it gave for the last token of that (M, C).
        beams: the number K of sequences that are followed at once.
        length: the number of tokens of a sequence at most.
        penalty: the power of the length penalty, above 0 for longer sequences: without, those of
            few tokens are preferred.
        judge: what becomes of a sequence, given its tokens; None if all go on up to `length`.
        banned: tokens that are never taken.
        eager: whether the search from a start ends once `beams` complete sequences are found, even
            if one that goes on might become better.
    """
    for name, value, least in (("beam", beams, 1), ("length", length, 1), ("penalty", penalty, 0)):
        if not value >= least:
            raise ValueError(f"{name} is at least {least}, got {value}")
    searches = [_Search(beams, length, penalty, judge, eager) for _ in range(len(output))]
    going, known = searches, log_probs(output, banned)
    for step in range(1, length + 1):
        widths = [len(one.tokens) for one in going]
        pairs = zip(going, known.split(widths), strict=True)
        parents = [one.advance(step, rows) for one, rows in pairs]
        if step == length:
            break
        found = zip(going, accumulate(widths, initial=0), parents, strict=False)
        kept = [(one, [first + row for row in rows]) for one, first, rows in found
                if not one.is_done]  # fmt: skip
        if not kept:
            break
        going, at = [one for one, _ in kept], [row for _, rows in kept for row in rows]
        # A step of the net copies nothing where all rows go on as they are.
        if at != list(range(len(known))):
            steps.keep(torch.tensor(at))
        last = [tokens[-1] for one in going for tokens in one.tokens]
        known = log_probs(steps.push(torch.tensor(last)), banned)
    return [one.best() for one in searches]


def search_between(
    stepper: Any,
    start: int,
    end: int,
    *,
    beams: int,
    length: int,
    penalty: float,
    banned: Sequence[int] = (),
    eager: bool = False,
) -> list[list[Hypothesis]]:
    """The best sequences that follow a token and end with another, for each row of a stepper.

    Arguments:
        stepper: a fresh one; what its rows differ in, such as their condition, is in its state.
        start: the token that is read first, which is never taken.
        end: the token that completes a sequence.
        beams, penalty, banned, eager: as in `beam_search`.
        length: the number of tokens before the end, at most.
    """
    return beam_search(
        stepper,
        stepper.push(torch.full((stepper.batch,), start)),
        beams=beams,
        length=length + 1,
        penalty=penalty,
        judge=lambda tokens: "end" if tokens[-1] == end else "on",
        banned=(start, *banned),
        eager=eager,
    )


class _Search:
    """The beams of one start: at most K sequences that go on, and those that are complete."""

    def __init__(self, beams: int, length: int, penalty: float, judge: Judge | None, eager: bool):
        self.beams, self.length, self.penalty, self.judge = beams, length, penalty, judge
        self.eager = eager
        self.sums = torch.zeros(1, dtype=torch.float64)
        self.tokens: list[tuple[int, ...]] = [()]
        self.found: list[Hypothesis] = []

    @property
    def is_done(self) -> bool:
        """Whether no sequence goes on that may become one of the best."""
        if not self.tokens:
            return True
        if len(self.found) < self.beams:
            return False
        # Later tokens do not make a sequence more probable, and at best as long as it may be.
        bound = self.sums.max().item() / length_penalty(self.length, self.penalty)
        return self.eager or self.best()[-1].score >= bound

    def best(self) -> list[Hypothesis]:
        """The best complete sequences so far, at most K."""
        return sorted(self.found, key=lambda one: -one.score)[: self.beams]

    def advance(self, step: int, known: Tensor) -> list[int]:
        """Extend the sequences by a token each; the rows that those come from that go on now.

        Arguments:
            step: the number of tokens they then have.
            known: log-probabilities of the tokens (rows, C).
        """
        rows: list[int] = []
        kept: list[float] = []
        tokens: list[tuple[int, ...]] = []
        for at, value in _falling((self.sums[:, None] + known).flatten()):
            if value == -torch.inf or len(rows) == self.beams:
                break
            row, token = divmod(at, known.shape[1])
            longer = (*self.tokens[row], token)
            fate = "on" if self.judge is None else self.judge(longer)
            is_last = step == self.length
            if fate == "end" or (fate == "on" and is_last):
                self.found.append(
                    Hypothesis(longer, value, value / length_penalty(step, self.penalty))
                )
            if fate == "on" or (fate == "end" and is_last):
                rows.append(row)
                kept.append(value)
                tokens.append(longer)
        self.tokens, self.sums = tokens, torch.tensor(kept, dtype=torch.float64)
        return rows


def _falling(values: Tensor) -> Iterator[tuple[int, float]]:
    """Indices and values from the largest on, equal ones in their order.

    Few are asked for of many, so that the largest are sorted first.
    """
    least = values.topk(min(FEW, len(values))).values[-1]
    for some in (values >= least, values < least):
        at = some.nonzero()[:, 0]
        order = at[values[at].argsort(descending=True, stable=True)]
        for part in order.split(256):
            yield from zip(part.tolist(), values[part].tolist(), strict=True)
