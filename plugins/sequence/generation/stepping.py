"""What generation needs of a net: the next tokens' probabilities, one step at a time.

B rows, C tokens; a token is the index of its class.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Steps(Protocol):
    """A net that is fed one token per row and step, as `run.stepper` makes it."""

    def push(self, x: Any, /) -> Any:
        """The scores of the next tokens (B, C), after the tokens x (B,)."""
        ...

    def keep(self, rows: Tensor, /) -> Any:
        """Go on with some of the rows, in the order given, each as often as it is named."""
        ...


def log_probs(output: Any, banned: Sequence[int] = ()) -> Tensor:
    """The log-probabilities (B, C) that a net's output gives, in double precision on the CPU.

    ValueError if one is not a number.

    Arguments:
        output: scores (B, C), or an `sn.Scores`.
        banned: tokens that are never taken; the probabilities of the others are as they were.
    """
    known = output.log_softmax(1) if isinstance(output, Tensor) else output.log_probs()
    known = known.detach().double().cpu()
    if known.isnan().any():
        raise ValueError(
            "the net's scores are not numbers (nan): it has diverged in training; train it again "
            "with a lower trainer.learning_rate"
        )
    known[:, list(banned)] = -torch.inf
    return known


def nats(output: Any, tokens: Tensor) -> Tensor:
    """The log-probabilities of the tokens (B,), one per row, in double precision on the CPU."""
    if isinstance(output, Tensor):
        found = nn.functional.cross_entropy(output.double(), tokens, reduction="none")
    else:
        found = output.cross_entropy(tokens).double()
    return -found.detach().cpu()


def follow(steps: Steps, tokens: Sequence[int]) -> Any:
    """Push tokens one after the other into the only row; what the net gives for the last one.

    ValueError if there are none.
    """
    if not tokens:
        raise ValueError("no tokens to begin with: a net predicts the token after one")
    output = None
    for token in tokens:
        output = steps.push(torch.tensor([token]))
    return output
