"""Whole texts: which of them a net writes without a mistake."""

from collections.abc import Sequence

import torch
from torch import Tensor

import structnet as sn


def right_texts(scores: Tensor, batch: sn.Batch, never: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Scores (N, C) without tokens that are never written, and which texts are right (B,), 1 or 0.

    Where the most probable token after the true ones before is right at every step, so is the text
    that is written by taking the most probable token at every step.

    Arguments:
        scores: of the next token at every step, after the true ones before.
        batch: of B texts, with the true tokens as targets.
        never: the tokens that are never written.
    """
    scores = scores.index_fill(1, torch.tensor([*never], device=scores.device), -torch.inf)
    mistaken = (scores.argmax(1) != batch.y) & (batch.y != sn.IGNORE)
    mistakes = torch.bincount(batch.sample_of_node()[mistaken], minlength=batch.num_samples)
    return scores, (mistakes == 0).long()
