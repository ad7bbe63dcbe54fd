"""Penn Treebank brackets, `(label word)` or `(label child child)`, read without recursion."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from structnet.plugins.files.lines import read_lines

# A word holds any character but brackets, spaces, tabs and line breaks; some a no-break space.
_TOKEN = re.compile(r"[()]|[^() \t\r\n]+")


@dataclass(frozen=True)
class Bracketed:
    """A labelled tree, its nodes in pre-order from the root on.

    `labels` has one label per node, `words` one word per leaf and "" at inner nodes; `parent` is
    every node's parent, -1 at the root. `path` and `line` say where it was read.
    """

    path: Path
    line: int
    labels: list[str]
    words: list[str]
    parent: np.ndarray

    @property
    def text(self) -> str:
        return " ".join(word for word in self.words if word)


def read_brackets(path: Path) -> Iterator[Bracketed]:
    """The trees of a file, one per line; blank lines are skipped.

    ValueError names file, line and column of a syntax error; other errors are those of
    `sn.read_text`.
    """
    for line in read_lines(path):
        if line.text.strip(" \t\r"):
            yield parse(line.text, path, line.line)


def parse(text: str, path: Path, line: int) -> Bracketed:
    """One tree; ValueError names file, line and column of a syntax error."""

    def mistake(at: int, what: str) -> ValueError:
        return ValueError(f"{path}, line {line}, column {at + 1}: {what}")

    labels: list[str] = []
    words: list[str] = []
    parent: list[int] = []
    stack: list[int] = []
    # What was read last of each open node: its bracket, its label, a word, or children.
    state: list[str] = []
    for token in _TOKEN.finditer(text):
        word, at = token.group(), token.start()
        if labels and not stack:
            raise mistake(at, f"{word!r} after the end of the tree")
        if word == "(":
            if stack and state[-1] == "bracket":
                raise mistake(at, "a label is missing before '('")
            if stack and state[-1] == "word":
                raise mistake(at, f"'(' after the word {words[stack[-1]]!r}")
            parent.append(stack[-1] if stack else -1)
            if stack:
                state[-1] = "children"
            stack.append(len(labels))
            state.append("bracket")
            labels.append("")
            words.append("")
        elif not stack:
            raise mistake(at, f"a tree begins with '(', got {word!r}")
        elif word == ")":
            if state[-1] in ("bracket", "label"):
                raise mistake(at, f"an empty node: {state[-1]} and then ')'")
            stack.pop()
            state.pop()
        elif state[-1] == "bracket":
            labels[stack[-1]], state[-1] = word, "label"
        elif state[-1] == "label":
            words[stack[-1]], state[-1] = word, "word"
        else:
            raise mistake(at, f"a second word, or a word next to children: {word!r}")
    if stack:
        raise mistake(len(text.rstrip()), f"{len(stack)} brackets are not closed")
    if not labels:
        raise mistake(0, "an empty line, a tree was expected")
    return Bracketed(path, line, labels, words, np.array(parent))
