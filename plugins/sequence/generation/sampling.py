"""Drawing the next tokens: greedily, with a temperature, or from the most probable ones.

B rows, C tokens.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from structnet.plugins.sequence.generation.stepping import Steps, log_probs

# In place of a token, where a row has ended.
ENDED = -1
Ends = Callable[[Sequence[int]], bool]


def narrowed(
    known: Tensor, *, temperature: float = 1.0, top_k: int | None = None, top_p: float = 1.0
) -> Tensor:
    """The distributions (B, C) that tokens are drawn from; each row has the sum 1.

    The temperature acts first, then `top_k`, then `top_p` on what is left. Among equally probable
    tokens the first ones are kept. ValueError for an option out of range.

    Arguments:
        known: log-probabilities (B, C).
        temperature: by which log-probabilities are divided; 0 for the most probable token alone.
        top_k: keep the k most probable tokens (Fan et al. 2018); None for all.
        top_p: keep the fewest most probable tokens whose probabilities have at least this sum
            (nucleus sampling, Holtzman et al. 2020, section 3.1).
    """
    check(temperature, top_k, top_p)
    if temperature == 0:
        temperature, top_k = 1.0, 1
    # The largest is subtracted first: a quotient may be too large for a float.
    shares = ((known - known.amax(1, keepdim=True)) / temperature).softmax(1)
    if top_k is None and top_p == 1:
        return shares
    order = known.argsort(dim=1, descending=True, stable=True)
    probabilities = shares.gather(1, order)
    if top_k is not None:
        probabilities[:, top_k:] = 0
        probabilities /= probabilities.sum(1, keepdim=True)
    if top_p < 1:
        before = probabilities.cumsum(1) - probabilities
        probabilities[before >= top_p] = 0
        probabilities /= probabilities.sum(1, keepdim=True)
    return torch.zeros_like(probabilities).scatter(1, order, probabilities)


def check(temperature: float, top_k: int | None, top_p: float) -> None:
    """ValueError for an option out of range."""
    if not 0 <= temperature < math.inf:
        raise ValueError(f"temperature is at least 0 and finite, got {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k is at least 1, got {top_k}")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p is above 0 and at most 1, got {top_p}")


def sample(
    steps: Steps,
    output: Any,
    *,
    length: int,
    ends: Ends | None = None,
    banned: Sequence[int] = (),
    seed: int = 0,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
) -> Iterator[list[int]]:
    """Draw tokens for B rows, step by step: the next token of each row, or ENDED.

    A row is drawn with random numbers of its own, so that it does not depend on how many others
    there are. A row that ends has its last token among those given, and then ENDED; the iteration
    stops when all have ended.

    Arguments:
        steps: the net, after what the rows begin with.
        output: what it gave for the last token of that (B, C).
        length: the number of tokens of a row at most.
        ends: whether a row ends, given its tokens so far; None for `length` tokens in each.
        banned: tokens that are never drawn.
        seed: the seed of the draws.
        temperature, top_k, top_p: see `narrowed`.
    """
    draws = [np.random.default_rng([seed, row]) for row in range(len(output))]
    rows: list[list[int]] = [[] for _ in draws]
    done = [False] * len(rows)
    for step in range(length):
        known = log_probs(output, banned)
        shares = narrowed(known, temperature=temperature, top_k=top_k, top_p=top_p)
        drawn = _draw(shares, torch.tensor([[random.random()] for random in draws]).double())
        new = [ENDED if ended else token for ended, token in zip(done, drawn, strict=True)]
        for at, token in enumerate(new):
            if token != ENDED:
                rows[at].append(token)
                done[at] = ends is not None and ends(rows[at])
        yield new
        if all(done):
            return
        if step < length - 1:
            output = steps.push(torch.tensor(drawn))


def _draw(shares: Tensor, uniform: Tensor) -> list[int]:
    """The token of each row (B,) at a point between 0 and 1 of its distribution (B, C)."""
    sums = shares.cumsum(1)
    at = torch.searchsorted(sums, uniform * sums[:, -1:], right=True)
    # By rounding, a point may be the sum of all.
    last = shares.shape[1] - 1 - (shares > 0).flip(1).int().argmax(1, keepdim=True)
    return at.minimum(last).flatten().tolist()
