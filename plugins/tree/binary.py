"""Binary trees without labels, `( a ( b c ) )`, read without recursion."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from structnet.plugins.files.lines import SHOWN

# Round brackets, and words of whatever stands between them and spaces.
_TOKEN = re.compile(r"[()]|[^()\s]+")


class Token(NamedTuple):
    """A word or a bracket, and its column from 1 on."""

    text: str
    column: int


@dataclass(frozen=True)
class Binary:
    """A binary tree, its nodes in post-order: the root is the last one.

    `children` is (n, 2), -1 at leaves. `words` has one word per leaf and "" at inner nodes;
    `columns` says where a leaf, or the closing bracket of an inner node, was read.
    """

    words: list[str]
    children: np.ndarray
    columns: list[int]

    @property
    def leaves(self) -> list[str]:
        return [word for word in self.words if word]


def mistake(place: str, column: int, what: str) -> ValueError:
    """A ValueError at a place, which is a file and line."""
    return ValueError(f"{place}, column {column}: {what}")


def shown(text: str) -> str:
    """A text as error messages show it."""
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}...")


def tokens_of(text: str, column: int = 1) -> list[Token]:
    """The brackets and words of a text whose first character is in that column."""
    return [Token(one.group(), one.start() + column) for one in _TOKEN.finditer(text)]


def read_binary(tokens: Sequence[Token], place: str) -> Binary:
    """The tree of all tokens; ValueError names place and column of a mistake.

    A single word is a tree of one node.
    """
    words: list[str] = []
    columns: list[int] = []
    children: list[tuple[int, int]] = []
    # The nodes that stand in each open bracket, below all of them the whole.
    parts: list[list[int]] = [[]]
    opened: list[Token] = []
    for token in tokens:
        if not opened and parts[0]:
            raise mistake(place, token.column, f"{shown(token.text)} after the end of the tree")
        if token.text == "(":
            opened.append(token)
            parts.append([])
            continue
        below = (-1, -1)
        if token.text == ")":
            if not opened:
                raise mistake(place, token.column, "')' closes no bracket")
            opened.pop()
            inside = parts.pop()
            if len(inside) != 2:
                what = f"these round brackets have {len(inside)} in them, expected a pair"
                raise mistake(place, token.column, what)
            below = (inside[0], inside[1])
        parts[-1].append(len(words))
        words.append("" if token.text == ")" else token.text)
        columns.append(token.column)
        children.append(below)
    if opened:
        raise mistake(place, opened[-1].column, f"'(' is not closed, of {len(opened)} in all")
    if not words:
        raise ValueError(f"{place}: nothing to read, expected a tree such as ( a b )")
    return Binary(words, np.array(children, np.int64), columns)
