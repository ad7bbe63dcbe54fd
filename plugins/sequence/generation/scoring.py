"""How probable a net finds texts, token by token."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from structnet.plugins.sequence.generation.stepping import nats
from structnet.plugins.sequence.generation.texts import (
    UNKNOWN,
    TextTask,
    Unseen,
    begin,
    boundary,
    encode,
)

# The texts that are read side by side.
ROWS = 64


@dataclass(frozen=True)
class Score:
    """A text's probability: that a line has just these tokens, after the end of another line.

    Arguments:
        text: the text.
        tokens: its tokens, and that of the line's end if the net knows it.
        log_probs: the log-probability of each, given those before it, in nats.
    """

    text: str
    tokens: tuple[str, ...]
    log_probs: tuple[float, ...]

    @property
    def log_prob(self) -> float:
        """The log-probability of the text in nats."""
        return math.fsum(self.log_probs)

    @property
    def per_token(self) -> float:
        """The mean log-probability of a token in nats."""
        return self.log_prob / len(self.tokens)

    @property
    def perplexity(self) -> float:
        """That of a token: the exponential of the mean negative log-probability."""
        return _exp(-self.per_token)


def score(
    task: TextTask, net: Any, texts: Sequence[tuple[str, str]], unseen: Unseen = "error"
) -> list[Score]:
    """The scores of texts, in the order given.

    ValueError for a text without tokens, and for tokens that the net does not know.

    Arguments:
        task: the net's.
        net: predicts the next token.
        texts: each with what it is called in errors.
        unseen: what is done about tokens that the net does not know.
    """
    end = [] if UNKNOWN in boundary(task) else boundary(task)
    rows: list[list[int]] = []
    for what, text in texts:
        ids = encode(task, text, unseen, what)
        if not ids:
            raise ValueError(f"{what} has no tokens that the net knows, got {text!r}")
        rows.append([*ids, *end])
    order = sorted(range(len(rows)), key=lambda at: -len(rows[at]))
    found: dict[int, list[float]] = {}
    for first in range(0, len(order), ROWS):
        some = order[first : first + ROWS]
        found.update(zip(some, _log_probs(task, net, [rows[at] for at in some]), strict=True))
    return [
        Score(text, tuple(task.classes[i] for i in rows[at]), tuple(found[at]))
        for at, (_, text) in enumerate(texts)
    ]


def _log_probs(task: TextTask, net: Any, rows: Sequence[Sequence[int]]) -> list[list[float]]:
    """The log-probability of every token of each row; the longest row comes first."""
    steps, output = begin(task, net, [])
    steps.keep(torch.zeros(len(rows), dtype=torch.long))
    output = output[[0] * len(rows)]
    found: list[list[float]] = [[] for _ in rows]
    for step in range(len(rows[0])):
        targets = torch.tensor([row[step] for row in rows if len(row) > step])
        for log_probs, value in zip(found, nats(output, targets).tolist(), strict=False):
            log_probs.append(value)
        # Rows that end here are the last ones.
        active = sum(len(row) > step + 1 for row in rows)
        if active:
            steps.keep(torch.arange(active))
            output = steps.push(targets[:active])
    return found


def ranks(scores: Sequence[Score], per_token: bool = False) -> list[int]:
    """The rank of each text, 1 for the most probable, or for the one of most probable tokens."""
    values = [one.per_token if per_token else one.log_prob for one in scores]
    return [1 + sum(other > value for other in values) for value in values]


def odds(scores: Sequence[Score]) -> float:
    """How many times as probable the most probable text is as the next; two texts at least."""
    first, second = sorted((one.log_prob for one in scores), reverse=True)[:2]
    return _exp(first - second)


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf
