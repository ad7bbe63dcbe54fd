"""Sentences to parse: the words of texts, as treebanks have them, and texts in files."""

from itertools import pairwise
from pathlib import Path

import numpy as np

import structnet as sn
from structnet.plugins.files.lines import Line, read_lines
from structnet.plugins.text.tokenise import tokeniser
from structnet.plugins.treebanks.brackets import read_line
from structnet.plugins.treebanks.reading import kind_of

# How brackets in a text are written in a treebank.
ESCAPED = {"(": "-LRB-", ")": "-RRB-", "[": "-LSB-", "]": "-RSB-", "{": "-LCB-", "}": "-RCB-"}


def words_of(text: str) -> list[str]:
    """The words of a text, its brackets and quotation marks as the Penn Treebank has them."""
    return [ESCAPED.get(word, word) for word in tokeniser("treebank")(text)]


def is_tree(text: sn.Origin) -> bool:
    """Whether a text is a tree in brackets: with labels, or beginning with two brackets."""
    nested = text.text.replace(" ", "").startswith("((")
    try:
        read = read_line(text, labelled=not nested)
    except ValueError:
        return False
    return len(read.words) > 1


def sentences(path: Path) -> list[Line] | None:
    """The lines of a text that are not blank; None for trees."""
    if not path.is_file() or (path.suffix != ".txt" and kind_of(path) is not None):
        return None
    lines = [line for line in read_lines(path) if line.text.strip()]
    return None if lines and lines[0].text.lstrip().startswith("(") else lines


def spelled_words(x: sn.Tokens) -> list[str]:
    """The words of a sample or batch, as they are written."""
    assert x.spelling is not None
    text = np.asarray(x.spelling.ids, np.uint8).tobytes()
    # Between marks of the beginning and the end.
    return [
        text[a + 1 : b - 1].decode("utf-8", "surrogatepass")
        for a, b in pairwise(x.spelling.ptr.tolist())
    ]
