"""Trees in brackets, read without recursion: with labels or without.

With labels they are those of the Penn Treebank, `(label word)` or `(label child child)`; without,
brackets hold words and further brackets, `( a ( b c ) )`.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

import structnet as sn
from structnet.plugins.files.lines import Line, read_lines, shown
from structnet.plugins.treebanks.tree import LabelledTree

# A word holds any character but brackets, spaces, tabs and line breaks; some a no-break space.
TOKEN = re.compile(r"[()]|[^() \t\r\n]+")
# What a line between trees begins with that is a comment: as of scripts, Lisp, the Penn Treebank's
# first release, and the export format of Negra.
_COMMENT = re.compile(r"\s*(?:#|;|\*x\*|%%)")
# The label of a root that has none, and several children.
TOP = "TOP"
Place = Line | sn.Origin


def read_brackets(path: Path) -> Iterator[LabelledTree]:
    """The trees of a file, one per line; blank lines are skipped.

    ValueError names file, line and column of a syntax error; other errors are those of
    `sn.read_text`.
    """
    for line in read_lines(path):
        if line.text.strip(" \t\r"):
            yield read_line(line).tree()


def read_treebank(lines: Iterable[Line]) -> Iterator[LabelledTree]:
    """The trees in the lines of a file, several on a line or one over several lines.

    Between trees, blank lines are skipped, and lines that begin with #, ;, %% or *x*. ValueError
    names file, line and column of a syntax error.
    """
    reader = Reader()
    for line in lines:
        if reader.stack or not _COMMENT.match(line.text):
            for token in TOKEN.finditer(line.text):
                reader.take(token.group(), line, token.start())
                if not reader.stack:
                    yield reader.tree()
                    reader = Reader()
    if reader.stack:
        raise reader.unclosed()


def read_line(
    line: Place, labelled: bool = True, start: int = 0, stop: int | None = None
) -> "Reader":
    """The one tree of a line, or of the part from `start` to before `stop`.

    ValueError names file, line and column of a syntax error.
    """
    reader = Reader(labelled)
    for token in TOKEN.finditer(line.text, start, len(line.text) if stop is None else stop):
        word, at = token.group(), token.start()
        if reader.words and not reader.stack:
            raise mistake(line, at, f"{shown(word)} after the end of the tree")
        reader.take(word, line, at)
    if reader.stack:
        raise reader.unclosed()
    if not reader.words:
        raise mistake(line, start, "nothing to read, expected a tree in brackets")
    return reader


def bracketed(tree: LabelledTree) -> str:
    """A tree of constituents in a line; a word without a label stands by itself."""
    depth = [0] * (len(tree) + 1)
    for node in range(1, len(tree)):
        depth[node] = depth[tree.parent[node]] + 1
    parts = []
    for node, (label, word) in enumerate(zip(tree.labels, tree.words, strict=True)):
        if not word:
            parts.append(f"({label}")
        else:
            own = f"({label} {word})" if label else word
            parts.append(own + ")" * (depth[node] - depth[node + 1]))
    return " ".join(parts)


def mistake(line: Place, at: int, what: str) -> ValueError:
    """A syntax error at a character of a line, which is counted from 0 on."""
    return ValueError(f"{line.path}, line {line.line}, column {at + 1}: {what}")


class Reader:
    """A tree that is read token by token, its nodes in pre-order.

    Arguments:
        labelled: whether brackets begin with a label, and then have one word or further brackets;
            the outermost ones may have none. Without labels every word is a node, and a word
            without brackets is a tree.
    """

    # The first line of the tree, and the last one, with where its last token ends.
    first: Place
    last: Place
    end: int

    def __init__(self, labelled: bool = True):
        self.labelled = labelled
        self.labels: list[str] = []
        self.words: list[str] = []
        self.parent: list[int] = []
        # Where every node begins in its line, and the nodes in the order in which they end.
        self.places: list[int] = []
        self.closed: list[int] = []
        # The open nodes, and what was read last of each: its bracket, its label, a word, children.
        self.stack: list[int] = []
        self.state: list[str] = []

    def take(self, word: str, line: Place, at: int) -> None:
        """Read a token of a line at an offset in it."""
        if not self.words:
            self.first = line
        self.last, self.end = line, at + len(word)
        if word == "(":
            self._open(line, at)
        elif word == ")":
            self._close(line, at)
        elif self.labelled:
            self._take_labelled(word, line, at)
        else:
            self.closed.append(self._add(word, at))

    def unclosed(self) -> ValueError:
        """The error of a tree that has no end."""
        count = len(self.stack)
        what = "a bracket is not closed" if count == 1 else f"{count} brackets are not closed"
        if self.last is not self.first:
            what += f" of the tree that begins in line {self.first.line}"
        return mistake(self.last, self.end, what)

    def tree(self) -> LabelledTree:
        """The tree that was read.

        A pair of brackets without a label around a tree is left out, and around several trees is a
        node TOP.
        """
        labels, words, parent = self.labels, self.words, np.array(self.parent)
        if self.labelled and not labels[0]:
            if self.parent.count(0) == 1:
                labels, words, parent = labels[1:], words[1:], parent[1:] - 1
            else:
                labels[0] = TOP
        return LabelledTree(self.first.path, self.first.line, labels, words, parent)

    def _add(self, word: str, at: int) -> int:
        """Add a node below the open one."""
        self.parent.append(self.stack[-1] if self.stack else -1)
        if self.state:
            self.state[-1] = "children"
        self.labels.append("")
        self.words.append(word)
        self.places.append(at)
        return len(self.words) - 1

    def _open(self, line: Place, at: int) -> None:
        stack, state = self.stack, self.state
        if self.labelled and len(stack) > 1 and state[-1] == "bracket":
            raise mistake(line, at, "a label is missing before '('")
        if stack and state[-1] == "word":
            raise mistake(line, at, f"'(' after the word {shown(self.words[stack[-1]])}")
        stack.append(self._add("", at))
        state.append("bracket")

    def _close(self, line: Place, at: int) -> None:
        if not self.stack:
            raise mistake(line, at, "')' closes no bracket")
        if self.state[-1] in ("bracket", "label"):
            raise mistake(line, at, f"an empty node: {self.state[-1]} and then ')'")
        self.state.pop()
        self.closed.append(self.stack.pop())

    def _take_labelled(self, word: str, line: Place, at: int) -> None:
        """Read a label, or the one word of a node."""
        if not self.stack:
            raise mistake(line, at, f"a tree begins with '(', got {shown(word)}")
        node, state = self.stack[-1], self.state[-1]
        if state not in ("bracket", "label"):
            what = f"a second word, or a word next to children: {shown(word)}"
            raise mistake(line, at, what)
        if state == "bracket":
            self.labels[node], self.state[-1] = word, "label"
        else:
            self.words[node], self.state[-1] = word, "word"
