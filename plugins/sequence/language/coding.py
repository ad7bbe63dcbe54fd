"""Tokens of a text, and their text again: characters, words in lines, sub-words."""

import warnings
from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.text.subwords import Merge, Subwords
from structnet.plugins.text.tokenise import Tokeniser, tokeniser

Tokens = Literal["characters", "spaces", "words", "treebank", "wordpunct", "tweet", "subwords"]
# The word at the end of a line, and the one for words that are not in the vocabulary.
EOS, UNKNOWN = "<eos>", "<unk>"


class Coder(Protocol):
    """Splits a text into tokens.

    Attributes:
        unit: what a token is called in measures: character, word or subword.
    """

    unit: str

    def split(self, text: str) -> list[str]:
        """The tokens of a text."""
        ...

    def join(self, tokens: Iterable[str]) -> str:
        """The text of tokens."""
        ...

    def characters(self, token: str) -> int:
        """How many characters a token stands for in the text."""
        ...


class Characters:
    """Every character is a token."""

    unit = "character"

    def split(self, text: str) -> list[str]:
        return list(text)

    def join(self, tokens: Iterable[str]) -> str:
        return "".join(tokens)

    def characters(self, token: str) -> int:
        """One, also where it is unknown."""
        return 1


class Lines:
    """The words of a text, and EOS wherever a line ends."""

    unit = "word"

    def __init__(self, words: Tokeniser):
        self.words = words

    def split(self, text: str) -> list[str]:
        *lines, last = text.split("\n")
        tokens = [word for line in lines for word in (*self.words(line), EOS)]
        return [*tokens, *self.words(last)]

    def join(self, tokens: Iterable[str]) -> str:
        text = " ".join("\n" if token == EOS else token for token in tokens)
        return text.replace(" \n", "\n").replace("\n ", "\n")

    def characters(self, token: str) -> int:
        """With the space or the end of the line after a word."""
        return 0 if token == EOS else len(token) + 1


class Pieces:
    """Sub-words."""

    unit = "subword"

    def __init__(self, subwords: Subwords):
        self.subwords = subwords

    def split(self, text: str) -> list[str]:
        return self.subwords.split(text)

    def join(self, tokens: Iterable[str]) -> str:
        return self.subwords.join(tokens)

    def characters(self, token: str) -> int:
        return self.subwords.characters(token)


def coder(tokens: Tokens, merges: Sequence[Merge] = ()) -> Coder:
    """A coder by its name; of sub-words, those of the merges."""
    if tokens == "subwords":
        return Pieces(Subwords(merges))
    return Characters() if tokens == "characters" else Lines(tokeniser(tokens))


def count(tokens: Iterable[str], min_count: int, most: int | None) -> sn.Vocabulary:
    """The vocabulary of a text, by falling count; UNKNOWN is not part of it.

    Arguments:
        tokens: those of the text.
        min_count: tokens with smaller counts are unknown.
        most: the number of tokens that are known; None for all.
    """
    known = sn.Vocabulary.count((token for token in tokens if token != UNKNOWN), min_count)
    return sn.Vocabulary(dict([*known.counts.items()][:most]))


def warn_of_unknown(tokens: Sequence[str], ids: NDArray[np.int64], split: str) -> None:
    """A DataWarning that names characters of a split which the training split does not have."""
    unknown = dict.fromkeys(tokens[place] for place in np.flatnonzero(ids == 0).tolist())
    if unknown:
        shown = " ".join(map(repr, [*unknown][:5]))
        warnings.warn(
            f"{int((ids == 0).sum())} of {len(ids):,} characters of the {split} split are unknown, "
            f"as the training split has none of {shown}{' ...' if len(unknown) > 5 else ''}",
            sn.DataWarning,
            stacklevel=2,
        )
