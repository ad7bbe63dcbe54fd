"""Beam search: the most probable sequences of tokens.

M starts, K beams of each, C tokens.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from structnet.plugins.sequence.generation.stepping import Steps, log_probs

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
) -> list[list[Hypothesis]]:
    """The best sequences of each of M starts that are found, at most `beams` of each, best first.

    After every step, the `beams` most probable sequences go on; those among them that are complete
    are put aside, and others take their places. Sequences of `length` tokens are complete. With as
    many beams as there are sequences, all of them are found. ValueError for an option out of range.

    Arguments:
        steps: the net, after what the M starts begin with.
        output: what it gave for the last token of that (M, C).
        beams: the number K of sequences that are followed at once.
        length: the number of tokens of a sequence at most.
        penalty: the power of the length penalty, above 0 for longer sequences: without, those of
            few tokens are preferred.
        judge: what becomes of a sequence, given its tokens; None if all go on up to `length`.
        banned: tokens that are never taken.
    """
    for name, value, least in (("beam", beams, 1), ("length", length, 1), ("penalty", penalty, 0)):
        if not value >= least:
            raise ValueError(f"{name} is at least {least}, got {value}")
    searches = [_Search(beams, length, penalty, judge) for _ in range(len(output))]
    known = log_probs(output, banned).repeat_interleave(beams, 0)
    steps.keep(torch.arange(len(output)).repeat_interleave(beams))
    for step in range(1, length + 1):
        rows = known.view(len(searches), beams, -1)
        parents = [one.advance(step, some) for one, some in zip(searches, rows, strict=True)]
        if step == length or all(one.is_done for one in searches):
            break
        first = [number * beams for number, some in enumerate(parents) for _ in some]
        at = [row for some in parents for row in some]
        steps.keep(torch.tensor(first) + torch.tensor(at))
        last = [tokens[-1] for one in searches for tokens in one.tokens]
        known = log_probs(steps.push(torch.tensor(last)), banned)
    return [one.best() for one in searches]


class _Search:
    """The beams of one start: K sequences, with probability 0 where there are fewer."""

    def __init__(self, beams: int, length: int, penalty: float, judge: Judge | None):
        self.beams, self.length, self.penalty, self.judge = beams, length, penalty, judge
        self.sums = torch.full((beams, 1), -torch.inf, dtype=torch.float64)
        self.sums[0] = 0
        self.tokens: list[tuple[int, ...]] = [()] * beams
        self.found: list[Hypothesis] = []

    @property
    def is_done(self) -> bool:
        """Whether no sequence goes on that may become one of the best."""
        most = self.sums.max().item()
        if most == -math.inf:
            return True
        # Later tokens do not make a sequence more probable, and at best as long as it may be.
        bound = most / length_penalty(self.length, self.penalty)
        return len(self.found) >= self.beams and self.best()[-1].score >= bound

    def best(self) -> list[Hypothesis]:
        """The best complete sequences so far, at most K."""
        return sorted(self.found, key=lambda one: -one.score)[: self.beams]

    def advance(self, step: int, known: Tensor) -> list[int]:
        """Extend the sequences by a token each; the rows that those come from that go on now.

        Arguments:
            step: the number of tokens they then have.
            known: log-probabilities of the tokens (K, C).
        """
        rows: list[int] = []
        kept: list[float] = []
        tokens: list[tuple[int, ...]] = []
        for at, value in _falling((self.sums + known).flatten()):
            if value == -math.inf or len(rows) == self.beams:
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
        # Rows that nothing goes on in have probability 0.
        missing = self.beams - len(rows)
        self.tokens = [*tokens, *[(0,)] * missing]
        self.sums = torch.tensor([*kept, *[-math.inf] * missing], dtype=torch.float64)[:, None]
        return [*rows, *[0] * missing]


def _falling(values: Tensor) -> Iterator[tuple[int, float]]:
    """Indices and values from the largest on; few are looked at of many."""
    order = values.argsort(descending=True, stable=True)
    for some in order.split(256):
        yield from zip(some.tolist(), values[some].tolist(), strict=True)
