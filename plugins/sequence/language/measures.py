"""Measures of language models: nats per token, perplexity, bits per character, and their counts."""

import math
from typing import Any

import torch
from torch import Tensor, nn

import structnet as sn


def nats(output: Any, y: Tensor) -> Tensor:
    """The cross entropy (n,) of targets that are all known, given scores (n, C) or `sn.Scores`."""
    if isinstance(output, Tensor):
        return nn.functional.cross_entropy(output.float(), y, reduction="none")
    return output.cross_entropy(y).float()


def measures(unit: str) -> dict[str, Any]:
    """New metrics of torchmetrics by name; each is updated with nats (n,) and weights (n,).

    The weights are 1 per token, and the number of characters of each for bits per character.

    Arguments:
        unit: what a token is: character, word or subword.
    """
    from torchmetrics import Metric

    class Measure(Metric):
        """A function of the nats and the weights, each summed over all tokens."""

        nats: Tensor
        weight: Tensor

        def __init__(self, name: str):
            super().__init__()
            self.name = name
            for total in ("nats", "weight"):
                # Of a million numbers, float32 would lose the last digits.
                self.add_state(total, torch.zeros((), dtype=torch.float64), "sum")

        def update(self, nats: Tensor, weight: Tensor) -> None:
            self.nats += nats.double().sum()
            self.weight += weight.sum()

        def compute(self) -> Tensor:
            value = figures(unit, self.nats.item(), self.weight.item(), self.weight.item())
            return torch.tensor(value[self.name], dtype=torch.float64)

    return {name: Measure(name) for name in figures(unit, 0, 1, 1)}


def figures(unit: str, nats: float, tokens: float, characters: float) -> dict[str, float]:
    """The measures of a text, given the nats of all its tokens."""
    # Beyond this the exponential is not a number.
    each = min(nats / tokens, 700.0)
    # Blank lines have words, their ends, but no characters.
    bits = nats / math.log(2) / max(characters, 1)
    return {
        f"nats_per_{unit}": each,
        "perplexity": math.exp(each),
        "bits_per_character": bits,
        f"{unit}s": tokens,
        **({} if unit == "character" else {"characters": characters}),
    }


def measured(
    output: Any, y: Tensor, unit: str, characters: Tensor
) -> dict[str, tuple[Tensor, Tensor]]:
    """What each metric is updated with; targets that are not known are left out.

    Arguments:
        output: scores (n, C), or `sn.Scores`.
        y: the targets (n,).
        unit: as in `measures`.
        characters: the number of characters of each class (C,).
    """
    known = y != sn.IGNORE
    each, tokens = nats(output[known], y[known]), torch.ones_like(y[known])
    written = characters.to(y.device)[y[known]]
    return {
        name: (each, written if name in ("bits_per_character", "characters") else tokens)
        for name in figures(unit, 0, 1, 1)
    }
