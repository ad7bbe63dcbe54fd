"""Sentences that stand alone, each between two borders: the input of bidirectional models."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.sequence.language.coding import EOS, Coder

Ints = NDArray[np.int64]
# In the order of a node's targets: that of the word after it, and that of the word before.
DIRECTIONS = ("forward", "backward")


class Sentences(Sequence[sn.Sample]):
    """The sentences of a text as samples: from a border to the next, that one included.

    Arguments:
        tokens: those of the text, one per node, with a border before every sentence and at the end.
        borders: where in the text the borders are.
    """

    def __init__(self, tokens: sn.Tokens, borders: Ints):
        self.tokens, self.borders = tokens, borders

    def __len__(self) -> int:
        return len(self.borders) - 1

    def __getitem__(self, index: Any) -> sn.Sample:
        at = range(len(self))[index]
        return sentence(part(self.tokens, int(self.borders[at]), int(self.borders[at + 1]) + 1))


def part(tokens: sn.Tokens, first: int, stop: int) -> sn.Tokens:
    """The tokens of some nodes, where each has one."""
    found = sn.Tokens(tokens.ids[first:stop], np.arange(stop - first + 1))
    if (spelling := tokens.spelling) is None:
        return found
    ptr = spelling.ptr[first : stop + 1]
    return replace(found, spelling=sn.Tokens(spelling.ids[ptr[0] : ptr[-1]], ptr - ptr[0]))


def sentence(tokens: sn.Tokens) -> sn.Sample:
    """A sentence of n tokens, with the targets of both directions, token by token (2 n,)."""
    y = np.full((len(tokens), 2), sn.IGNORE)
    y[:-1, 0] = tokens.ids[1:]
    y[1:, 1] = tokens.ids[:-1]
    return sn.Sample(len(tokens), tokens, y.ravel())


def pieces(text: str, coder: Coder, most: int | None) -> Iterable[list[str]]:
    """The tokens of each line of a text that has some, in pieces of `most` where there are more."""
    for line in text.split("\n"):
        tokens = coder.split(line)
        step = most or max(1, len(tokens))
        yield from (tokens[first : first + step] for first in range(0, len(tokens), step))


def bordered(parts: Iterable[Sequence[str]]) -> tuple[list[str], Ints]:
    """The tokens of all parts with borders around each, and where the borders are."""
    tokens, borders = [EOS], [0]
    for part in parts:
        tokens += [*part, EOS]
        borders.append(len(tokens) - 1)
    return tokens, np.array(borders)
