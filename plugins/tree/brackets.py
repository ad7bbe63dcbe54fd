"""Penn Treebank brackets, `(label word)` or `(label child child)`, read without recursion."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

import structnet as sn
from structnet.plugins.files.lines import Line, read_lines
from structnet.plugins.tree.treebanks.tree import LabelledTree

# A word holds any character but brackets, spaces, tabs and line breaks; some a no-break space.
TOKEN = re.compile(r"[()]|[^() \t\r\n]+")
# What a line between trees begins with that is a comment: as of scripts, Lisp, the Penn Treebank's
# first release, and the export format of Negra.
_COMMENT = re.compile(r"\s*(?:#|;|\*x\*|%%)")
# The label of a root that has none, and several children.
TOP = "TOP"


def read_brackets(path: Path) -> Iterator[LabelledTree]:
    """The trees of a file, one per line; blank lines are skipped.

    ValueError names file, line and column of a syntax error; other errors are those of
    `sn.read_text`.
    """
    for line in read_lines(path):
        if line.text.strip(" \t\r"):
            yield parse(line.text, path, line.line)


def read_treebank(lines: Iterable[Line]) -> Iterator[LabelledTree]:
    """The trees in the lines of a file, several on a line or one over several lines.

    A pair of brackets without a label around a tree is left out, and around several trees is a node
    TOP. Between trees, blank lines are skipped, and lines that begin with #, ;, %% or *x*.

    ValueError names file, line and column of a syntax error.
    """
    reader = _Reader()
    for line in lines:
        if reader.stack or not _COMMENT.match(line.text):
            for token in TOKEN.finditer(line.text):
                reader.take(token.group(), line, token.start())
                if not reader.stack:
                    yield reader.tree()
                    reader = _Reader()
    if reader.stack:
        raise reader.unclosed()


def parse(text: str, path: Path, line: int) -> LabelledTree:
    """One tree; ValueError names file, line and column of a syntax error."""
    reader, whole = _Reader(bare=False), Line(path, line, text)
    for token in TOKEN.finditer(text):
        word, at = token.group(), token.start()
        if reader.labels and not reader.stack:
            raise mistake(whole, at, f"{word!r} after the end of the tree")
        reader.take(word, whole, at)
    if reader.stack:
        raise reader.unclosed()
    if not reader.labels:
        raise mistake(whole, 0, "an empty line, a tree was expected")
    return reader.tree()


def mistake(line: Line | sn.Origin, at: int, what: str) -> ValueError:
    """A syntax error at a character of a text."""
    return ValueError(f"{line.path}, line {line.line}, column {at + 1}: {what}")


class _Reader:
    """A tree that is read token by token.

    Arguments:
        bare: whether the outermost brackets may have no label.
    """

    # The first line of the tree, and the last one.
    first: Line
    last: Line

    def __init__(self, bare: bool = True):
        self.bare = bare
        self.labels: list[str] = []
        self.words: list[str] = []
        self.parent: list[int] = []
        # The open nodes, and what was read last of each: its bracket, its label, a word, children.
        self.stack: list[int] = []
        self.state: list[str] = []

    def take(self, word: str, line: Line, at: int) -> None:
        """Read a token of a line at an offset in it."""
        if not self.labels:
            self.first = line
        self.last, stack, state = line, self.stack, self.state
        if word == "(":
            self._open(line, at)
        elif not stack:
            raise mistake(line, at, f"a tree begins with '(', got {word!r}")
        elif word == ")":
            if state[-1] in ("bracket", "label"):
                raise mistake(line, at, f"an empty node: {state[-1]} and then ')'")
            stack.pop()
            state.pop()
        elif state[-1] == "bracket":
            self.labels[stack[-1]], state[-1] = word, "label"
        elif state[-1] == "label":
            self.words[stack[-1]], state[-1] = word, "word"
        else:
            raise mistake(line, at, f"a second word, or a word next to children: {word!r}")

    def _open(self, line: Line, at: int) -> None:
        stack, state = self.stack, self.state
        if stack and state[-1] == "bracket" and not (self.bare and len(stack) == 1):
            raise mistake(line, at, "a label is missing before '('")
        if stack and state[-1] == "word":
            raise mistake(line, at, f"'(' after the word {self.words[stack[-1]]!r}")
        self.parent.append(stack[-1] if stack else -1)
        if stack:
            state[-1] = "children"
        stack.append(len(self.labels))
        state.append("bracket")
        self.labels.append("")
        self.words.append("")

    def unclosed(self) -> ValueError:
        """The error of a tree that has no end."""
        what = f"{len(self.stack)} brackets are not closed"
        if self.last is not self.first:
            what += f" of the tree that begins in line {self.first.line}"
        return mistake(self.last, len(self.last.text.rstrip()), what)

    def tree(self) -> LabelledTree:
        labels, words, parent = self.labels, self.words, np.array(self.parent)
        if not labels[0] and self.parent.count(0) == 1:
            labels, words, parent = labels[1:], words[1:], parent[1:] - 1
        elif not labels[0]:
            labels[0] = TOP
        return LabelledTree(self.first.path, self.first.line, labels, words, parent)
