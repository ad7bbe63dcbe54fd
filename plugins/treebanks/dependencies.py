"""Dependency trees in CoNLL-U."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from structnet.plugins.text.conllu import FORM, NOTHING, Row, read_rows
from structnet.plugins.treebanks.tree import LabelledTree, below_no_root

HEAD, RELATION = 6, 7


def read_dependencies(path: Path) -> Iterator[LabelledTree]:
    """The tree of every sentence of a file: a node per word, its label the word's relation.

    A relation `_` is no label. ValueError names file, line and column of what is not CoNLL-U, and
    of heads that do not make a tree with one root.
    """
    for rows in read_rows(path):
        yield LabelledTree(
            path,
            rows[0][0].line,
            ["" if fields[RELATION] == NOTHING else fields[RELATION] for _, fields in rows],
            [fields[FORM] for _, fields in rows],
            heads(rows),
        )


def heads(rows: list[Row]) -> np.ndarray:
    """The number (n,) of every word's head, -1 for the root; ValueError unless they make a tree."""
    parent = np.array([_head(rows, word) for word in range(len(rows))])
    if (wrong := below_no_root(parent)) is not None:
        raise _mistake(rows[wrong], "the word is its own head, by way of other words")
    return parent


def _head(rows: list[Row], word: int) -> int:
    """The number of a word's head from 0 on, -1 for the root."""
    given = rows[word][1][HEAD]
    if not (given.isascii() and given.isdecimal() and len(given) < 10 and int(given) <= len(rows)):
        raise _mistake(
            rows[word], f"{given[:40]!r} is not the number of a head, from 1 to {len(rows)}, or 0"
        )
    if given == "0" and (roots := [i for i in range(word) if rows[i][1][HEAD] == "0"]):
        raise _mistake(rows[word], f"a second root, after word {roots[0] + 1}: a tree has one")
    return int(given) - 1


def _mistake(row: Row, what: str) -> ValueError:
    line, _ = row
    return ValueError(f"{line.path}, line {line.line}, column {HEAD + 1}: {what}")
