"""Pairs of parsed sentences, in the files that Tree-LSTMs have read since Tai et al. (2015).

A folder holds, for the sentences a and b of every pair, a line in each of `a.toks` (words),
`a.parents` (the head of every word, from 1 on, 0 for the root) and `a.cparents` (the parent of
every node of a binary tree, the words first), and the same with b; `sim.txt` (a score), `id.txt`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

import structnet as sn
from structnet.plugins.files.lines import Line, read_lines
from structnet.plugins.files.tables import read_rows

Trees = Literal["constituency", "dependency"]
ENDINGS: dict[Trees, str] = {"constituency": "cparents", "dependency": "parents"}
SCORES, IDS = "sim.txt", "id.txt"
LEAST, MOST = 1.0, 5.0


@dataclass(frozen=True)
class Sentence:
    """A sentence: its words, and every node's parent in its tree, -1 at the root.

    The words are the first nodes. Without a tree, `parent` is None.
    """

    words: tuple[str, ...]
    parent: tuple[int, ...] | None = None


@dataclass(frozen=True)
class SentencePair:
    """Two sentences and where they were read, and the number of the pair, "" if it has none."""

    path: Path
    line: int
    text: str
    first: Sentence
    second: Sentence
    score: float = float("nan")
    id: str = ""

    @property
    def exchanged(self) -> "SentencePair":
        return replace(self, first=self.second, second=self.first)


def file_names(trees: Trees | None, *, labelled: bool = True) -> list[str]:
    """The files of a folder that are read."""
    endings = ["toks", *([ENDINGS[trees]] if trees else [])]
    sides = [f"{side}.{ending}" for ending in endings for side in "ab"]
    return [*sides, *([SCORES, IDS] if labelled else [])]


def read_pairs(folder: Path, trees: Trees | None, *, labelled: bool = True) -> list[SentencePair]:
    """The pairs of a folder, with their trees unless None; without `labelled`, no scores.

    ValueError names file, line and value of what is not a sentence, a tree or a score, and files of
    different lengths; other errors are those of `sn.read_text`.
    """
    files = {name: list(read_lines(folder / name)) for name in file_names(trees, labelled=labelled)}
    first = len(files["a.toks"])
    for name, lines in files.items():
        if len(lines) != first:
            raise ValueError(
                f"{folder / name} has {len(lines)} lines, expected {first} as in "
                f"{folder / 'a.toks'}: one for each pair"
            )
    return [_pair({name: lines[at] for name, lines in files.items()}, trees) for at in range(first)]


def _pair(lines: dict[str, Line], trees: Trees | None) -> SentencePair:
    first, second = (_sentence(lines, side, trees) for side in "ab")
    line = lines["a.toks"]
    text = f"{line.text.strip()} ||| {lines['b.toks'].text.strip()}"
    score = _score(lines[SCORES]) if SCORES in lines else float("nan")
    number = lines[IDS].text.strip() if IDS in lines else ""
    return SentencePair(line.path, line.line, text, first, second, score, number)


def _sentence(lines: dict[str, Line], side: str, trees: Trees | None) -> Sentence:
    line = lines[f"{side}.toks"]
    words = tuple(line.text.split())
    if not words:
        raise line.refuse(line.text, "a sentence")
    if trees is None:
        return Sentence(words)
    return Sentence(words, _parents(lines[f"{side}.{ENDINGS[trees]}"], len(words), trees))


def _score(line: Line) -> float:
    try:
        score = float(line.text)
    except ValueError:
        score = float("nan")
    if not LEAST <= score <= MOST:
        raise line.refuse(line.text, f"a score from {LEAST:g} to {MOST:g}")
    return score


def _parents(line: Line, words: int, trees: Trees) -> tuple[int, ...]:
    """Every node's parent, from a line of numbers; ValueError for what is not a tree."""
    fields = line.text.split()
    nodes = words if trees == "dependency" else 2 * words - 1
    if len(fields) != nodes:
        raise line.refuse(line.text, f"{nodes} numbers for {words} words, got {len(fields)}")
    for at, field in enumerate(fields, start=1):
        # Longer numbers are not converted, which takes long.
        is_number = field.isascii() and field.isdecimal() and len(field) < 10
        if not is_number or int(field) > nodes:
            raise line.refuse(field, f"the parent of node {at}, from 0 (the root) to {nodes}")
    parent = tuple(int(field) - 1 for field in fields)
    roots = [at for at, above in enumerate(parent, start=1) if above < 0]
    if len(roots) != 1:
        raise line.refuse(line.text, f"one root, a node with parent 0, got {len(roots)}")
    if (node := _on_a_circle(parent)) is not None:
        raise line.refuse(line.text, f"a tree: node {node + 1} is above itself")
    if trees == "constituency":
        _check_binary(parent, words, line)
    return parent


def _on_a_circle(parent: Sequence[int]) -> int | None:
    """A node that is its own ancestor, None if there is none."""
    # The walk on which every node was met first.
    walk = [-1] * len(parent)
    for start in range(len(parent)):
        node = start
        while node >= 0 and walk[node] < 0:
            walk[node] = start
            node = parent[node]
        if node >= 0 and walk[node] == start:
            return node
    return None


def _check_binary(parent: Sequence[int], words: int, line: Line) -> None:
    count = np.bincount([above for above in parent if above >= 0], minlength=len(parent))
    expected = np.where(np.arange(len(parent)) < words, 0, 2)
    wrong = np.flatnonzero(count != expected)
    if len(wrong):
        node = int(wrong[0])
        what = "0 children, as it is a word" if node < words else "2 children"
        raise line.refuse(line.text, f"{what}, at node {node + 1}, got {int(count[node])}")


def in_order(parent: Sequence[int], words: int) -> np.ndarray:
    """The children (n, 2) of every node of a binary tree, in the order of their words."""
    first = [-1] * len(parent)
    for word in range(words):
        node = word
        while node >= 0 and first[node] < 0:
            first[node] = word
            node = parent[node]
    table = np.full((len(parent), 2), -1, np.int64)
    for node in sorted(range(len(parent)), key=first.__getitem__):
        if (above := parent[node]) >= 0:
            table[above, int(table[above, 0] >= 0)] = node
    return table


def read_classes(path: Path, classes: Sequence[str]) -> dict[str, str]:
    """The class of every pair by its number, from a table with the columns of SICK.

    ValueError names file, line and value of a class that is none of `classes`.
    """
    rows: Iterator[tuple[int, list[str]]] = read_rows(path, tabs=True)
    _, names = next(rows, (1, []))
    for name in ("pair_ID", "entailment_judgment"):
        if name not in names:
            raise Line(path, 1, "").refuse("\t".join(names), f"a column named {name!r}")
    found = {}
    for number, row in rows:
        line = Line(path, number, "\t".join(row))
        if len(row) != len(names):
            raise line.refuse(line.text, f"{len(names)} columns, got {len(row)}")
        cells = dict(zip(names, row, strict=True))
        said = cells["entailment_judgment"].strip().lower()
        if said not in classes:
            raise line.refuse(cells["entailment_judgment"], f"one of {', '.join(classes)}")
        found[cells["pair_ID"].strip()] = said
    return found


def folders(root: str | None, trees: Trees | None) -> dict[str, Path]:
    """The folder of every split; FileNotFoundError names the files that are missing."""
    splits = {"train": "train", "validation": "dev", "test": "test"}
    names = [f"{folder}/{name}" for folder in splits.values() for name in file_names(trees)]
    found = sn.data_folder(root, "sick", names)
    return {split: found / folder for split, folder in splits.items()}
