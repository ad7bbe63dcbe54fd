"""Arithmetic: read a sum or difference among distractors, write the answer."""

from itertools import islice
from string import ascii_lowercase, digits
from typing import Any

import numpy as np
import torch
from torch import Tensor

import structnet as sn
from structnet.plugins.sequence.tasks.characters import Characters, Text

# The most distractors: beyond this a text is nearly all noise.
MOST = 1000


@sn.tasks.register("arithmetic")
class Arithmetic(Characters):
    """The digits of a sum or difference of two numbers, with distractors between characters.

    Jozefowicz et al. (2015), section 3.5: after `3e36d9-h1h39f94eeh43keg3c=` comes `-13991064.`,
    which is 3369 - 13994433; the full stop ends the answer, and only the answer is to be predicted.
    The numbers have 1 to `digits` digits and the first may be negative; every character is followed
    by 0 to `distractors` random letters (the paper says "a random number"); all lengths are equally
    likely. "answers" is the share of answers without a mistake.

    Arguments:
        digits: the largest number of digits.
        distractors: the largest number of random letters after a character.
    """

    def __init__(self, *, digits: int = 8, distractors: int = 3, **options: int):
        super().__init__(ALPHABET, **options)
        # Larger numbers overflow numpy's integers.
        if not 1 <= digits <= 18:
            raise ValueError(f"option 'digits' is from 1 to 18, got {digits}")
        if distractors < 0:
            raise ValueError(f"option 'distractors' is at least 0, got {distractors}")
        if distractors > MOST:
            raise ValueError(f"option 'distractors' is at most {MOST}, got {distractors}")
        self.digits, self.distractors = digits, distractors

    def draw(self, count: int, random: np.random.Generator) -> list[Text]:
        length = random.integers(1, self.digits, (count, 2), endpoint=True)
        lowest = np.where(length == 1, 0, 10 ** (length - 1))
        numbers = random.integers(lowest, 10**length) * random.choice((-1, 1), (count, 2))
        sums = [(f"{a}{b:+}", a + b) for a, b in numbers.tolist()]
        characters = sum(len(question) for question, _ in sums)
        gaps = random.integers(0, self.distractors, characters, endpoint=True)
        letters = iter(random.choice(list(ascii_lowercase), gaps.sum()).tolist())
        gaps = iter(gaps.tolist())
        texts = []
        for question, answer in sums:
            read = "".join(c + "".join(islice(letters, next(gaps))) for c in question)
            texts.append(Text(f"{read}={answer}.", len(read) + 1))
        return texts

    def metrics(self) -> dict[str, Any]:
        from torchmetrics.classification import BinaryAccuracy

        return {**super().metrics(), "answers": BinaryAccuracy()}

    def measured(self, output: Tensor, batch: sn.Batch) -> dict[str, tuple[Tensor, Tensor]]:
        mistaken = (output.argmax(1) != batch.y) & (batch.y != sn.IGNORE)
        mistakes = torch.bincount(batch.sample_of_node()[mistaken], minlength=batch.num_samples)
        right = (mistakes == 0).long()
        return {**super().measured(output, batch), "answers": (right, torch.ones_like(right))}


ALPHABET = ascii_lowercase + digits + "+-=."
