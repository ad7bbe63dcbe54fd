"""Captions as samples: the next character at every step, given an image and a language."""

from collections.abc import Sequence
from typing import Any

import numpy as np

import structnet as sn
from structnet.plugins.sequence.captions.condition import Picture
from structnet.plugins.sequence.captions.sources import Captioned
from structnet.plugins.sequence.generation.starts import END, START


class Samples(Sequence[sn.Sample]):
    """The samples of a split, made when they are asked for; those without a text just begin.

    Arguments:
        captioned: images with captions.
        picture: the form of a condition.
        languages: those that a condition distinguishes, in order.
        vocabulary: the characters, and the marks of beginning and end.
    """

    def __init__(
        self,
        captioned: Sequence[Captioned],
        picture: Picture,
        languages: Sequence[str],
        vocabulary: sn.Vocabulary,
    ):
        self.captioned, self.picture = captioned, picture
        self.languages, self.vocabulary = list(languages), vocabulary

    def __len__(self) -> int:
        return len(self.captioned)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        one = self.captioned[index]
        words = [START] if one.text is None else [START, *one.text, END]
        ids = np.array([self.vocabulary[word] for word in words])
        x, y = (ids, np.array([sn.IGNORE])) if one.text is None else (ids[:-1], ids[1:])
        language = self.languages.index(one.language)
        return sn.Sample(
            len(x),
            sn.Tokens(x, np.arange(len(x) + 1)),
            y,
            kind=language,
            origin=one.origin,
            condition=self.picture.vector(one.image, language),
        )
