"""Graphs in the text format of Xu et al. (2019).

A file begins with the number of graphs. A graph is a line `nodes label`, followed by one line per
node, `tag degree neighbour neighbour ...`, neighbours numbered from 0. Both ends list an edge;
where only one does the edge counts all the same, as in the authors' code.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.files.lines import Line, read_lines

# The most digits of a number: no graph that fits into memory has more nodes.
DIGITS = 9


@dataclass(frozen=True)
class TaggedGraph:
    """The tag of every node, edges (2, E) in both directions, and a label."""

    tags: Sequence[str]
    edges: NDArray[np.int64]
    label: str
    origin: Line


def read_graphs(path: Path) -> Iterator[TaggedGraph]:
    """The graphs of a file; ValueError names file, line, value and what was expected."""
    lines = read_lines(path)
    (count,) = _numbers(_next(lines, path, "the number of graphs"), "the number of graphs", 1)
    for number in range(int(count)):
        yield _read_graph(lines, path, f"graph {number} of {count}")
    for line in lines:
        if line.text.strip():
            raise line.refuse(line.text, f"the end of the file after {count} graphs")


def read_indices(path: Path, count: int) -> NDArray[np.int64]:
    """Distinct whole numbers below `count`, one per line."""
    found = {}
    for line in read_lines(path):
        expected = f"the index of a graph, from 0 to {count - 1}"
        (index,) = _numbers(line, expected, 1)
        if int(index) >= count or int(index) in found:
            raise line.refuse(index, f"{expected}, and each once")
        found[int(index)] = line
    if not found:
        raise ValueError(f"{path} is empty, expected indices of graphs")
    return np.array(sorted(found))


def _read_graph(lines: Iterator[Line], path: Path, which: str) -> TaggedGraph:
    expected = f"'nodes label' of {which}"
    head = _next(lines, path, expected)
    nodes, label = _numbers(head, expected, 2)
    if int(nodes) < 1:
        raise head.refuse(nodes, f"a node or more in {which}")
    tags, listed = [], set()
    for node in range(int(nodes)):
        expected = f"'tag degree neighbours' of node {node} of {which}"
        line = _next(lines, path, expected)
        tag, degree, *neighbours = _numbers(line, expected)
        if len(neighbours) != int(degree):
            raise line.refuse(line.text, f"{expected}: {degree} of them, got {len(neighbours)}")
        for neighbour in map(int, neighbours):
            if neighbour >= int(nodes) or neighbour == node:
                raise line.refuse(neighbour, f"another node from 0 to {int(nodes) - 1} of {which}")
            listed.add((neighbour, node))
        tags.append(tag)
    edges = listed | {(target, source) for source, target in listed}
    if len(edges) > len(listed):
        warnings.warn(
            f"{path}, line {head.line}: {which} has {len(edges) - len(listed)} "
            "edges that only one of their ends lists; taken as listed by both",
            sn.DataWarning,
            stacklevel=2,
        )
    index = np.array(sorted(edges), np.int64).reshape(-1, 2).T
    return TaggedGraph(tags, index, label, Line(path, head.line, f"{which}, {nodes} nodes"))


def _numbers(line: Line, expected: str, count: int | None = None) -> list[str]:
    """The whole numbers of a line, from 0 on: `count` of them, or at least two."""
    words = line.text.split()
    fits = len(words) >= 2 if count is None else len(words) == count
    if not fits or not all(w.isascii() and w.isdigit() and len(w) <= DIGITS for w in words):
        raise line.refuse(line.text, f"{expected}, in whole numbers")
    return words


def _next(lines: Iterator[Line], path: Path, expected: str) -> Line:
    line = next(lines, None)
    if line is None:
        raise ValueError(f"{path} ends too early, expected {expected}")
    return line
