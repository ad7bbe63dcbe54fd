"""Graphs in the text format of Xu et al. (2019), and their classification over ten folds.

A file begins with the number of graphs. A graph is a line `nodes label`, and for each of its nodes
a line `tag degree neighbour neighbour ...`, neighbours numbered from 0. Both ends list an edge;
where only one does it is taken all the same, as their code takes it.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from structnet.plugins.files.lines import Line, read_lines
from structnet.plugins.files.locate import locate

import structnet as sn

FOLDS = 10
FOLD_FILE = "10fold_idx/test_idx-{}.txt"
# No graph that fits into memory has more nodes.
DIGITS = 9


@dataclass(frozen=True)
class TaggedGraph:
    """A tag (n) at every node, edges (2, E) in both directions, and a label."""

    tags: Sequence[str]
    edges: NDArray[np.int64]
    label: str
    origin: Line


class TaggedGraphs(sn.Task):
    """The class of undirected graphs with a tag at every node, tested on one of ten folds.

    `file` is in `root`, or in `place` of the folder that STRUCTNET_DATA names; under gzip as well.
    Of `fold`, from 1 to 10, the graphs are test: those of 10fold_idx/test_idx-FOLD.txt where
    `given` is true, else of stratified folds drawn with a seed of their own. Validation is a
    stratified ninth of the others, so that the test fold chooses nothing.

    Arguments:
        root: the folder of the file; null is its place in the folder that STRUCTNET_DATA names.
        fold: the fold, from 1 to 10, that is test.
    """

    structures = ("undirected",)
    learned = ("classes",)
    file: str
    place: str
    given: bool

    def __init__(self, *, root: str | None = None, fold: int = 1):
        if not 1 <= fold <= FOLDS:
            raise ValueError(f"option 'fold' is from 1 to {FOLDS}, got {fold}")
        self.root, self.fold = root, fold

    def readout(self, topology: sn.Topology) -> str:
        return "mean"

    def find(self) -> Path:
        (path,) = locate(self.root, self.place, [(self.file, f"{self.file}.gz")])
        if self.given:
            sn.data_folder(str(path.parent), self.place, [FOLD_FILE.format(self.fold)])
        return path

    def load(self, topology: sn.Topology) -> dict[str, Sequence[sn.Sample]]:
        path = self.find()
        graphs = list(read_graphs(path))
        if len(graphs) < FOLDS:
            raise ValueError(f"{path} has {len(graphs)} graphs, expected {FOLDS} or more")
        self.classes = self.classes or sorted({graph.label for graph in graphs})
        labels = np.array([self._class(graph) for graph in graphs])
        test = self._test(path, labels)
        rest = np.setdiff1d(np.arange(len(graphs)), test)
        if len(rest) < FOLDS - 1:
            raise ValueError(
                f"fold {self.fold} leaves {len(rest)} of the {len(graphs)} graphs of {path} to "
                f"learn from, expected {FOLDS - 1} or more"
            )
        train, validation = _folds(labels[rest], FOLDS - 1, self.fold)
        chosen = {"train": rest[train], "validation": rest[validation], "test": test}
        self._splits = {split: [graphs[i] for i in some] for split, some in chosen.items()}
        if self.vocabulary is None:
            tags = (tag for graph in self._splits["train"] for tag in graph.tags)
            self.vocabulary = sn.Vocabulary.count(tags, 1)
        return {
            split: [self._sample(graph, self._class(graph)) for graph in some]
            for split, some in self._splits.items()
        }

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        """Graphs as in the data; their labels are not looked at."""
        return (self._sample(graph, sn.IGNORE) for graph in read_graphs(path))

    def baselines(self) -> dict[str, dict[str, float]]:
        """The most frequent class, and logistic regression on how often each tag is there."""
        from structnet.plugins.baselines.features import fit_classes

        assert self.vocabulary is not None
        column = {tag: i for i, tag in enumerate(self.vocabulary.counts)}

        def table(split: str) -> tuple[NDArray, NDArray]:
            some = self._splits[split]
            counts = np.zeros((len(some), 1 + len(column)))
            for row, graph in zip(counts, some, strict=True):
                np.add.at(row, [column.get(tag, len(column)) for tag in graph.tags], 1)
            return counts, np.array([self._class(graph) for graph in some])

        return fit_classes(table("train"), table("test"), "bag of tags")

    def _class(self, graph: TaggedGraph) -> int:
        if graph.label not in self.classes:
            raise graph.origin.refuse(graph.label, f"a label of {list(self.classes)}")
        return list(self.classes).index(graph.label)

    def _test(self, path: Path, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        if not self.given:
            return _folds(labels, FOLDS, self.fold)[1]
        file = FOLD_FILE.format(self.fold)
        return read_indices(
            sn.data_folder(str(path.parent), self.place, [file]) / file, len(labels)
        )

    def _sample(self, graph: TaggedGraph, label: int) -> sn.Sample:
        assert self.vocabulary is not None
        x = self.vocabulary.tokens([(tag,) for tag in graph.tags])
        structure = sn.Edges(graph.edges, len(graph.tags))
        return sn.Sample(structure, x, label, origin=graph.origin)


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
    """Different whole numbers below `count`, one a line."""
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
    """The whole numbers of a line, from 0 on: so many, or two and more."""
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


def _folds(
    labels: NDArray[np.int64], count: int, which: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The indices outside of and in one of `count` stratified folds, numbered round from 1 on."""
    from sklearn.model_selection import StratifiedKFold

    folds = StratifiedKFold(count, shuffle=True, random_state=0)
    return list(folds.split(labels, labels))[(which - 1) % count]
