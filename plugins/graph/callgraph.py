"""Variable misuse in real Python code, on the data flow of its functions."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from structnet.plugins.graph.dataflow import Function, Use, functions
from structnet.plugins.tree.syntax import (
    excerpt,
    python_files,
    split_files,
    standard_library,
)
from torch import Tensor

import structnet as sn

# So many uses of a function are learned from, drawn at random: long functions don't outweigh all.
USES = 8


@dataclass(frozen=True, slots=True, eq=False)
class Misuse:
    """A use of a variable and another variable that could stand in its place."""

    function: Function
    use: Use
    other: str

    @property
    def path(self) -> Path:
        return self.function.path

    @property
    def line(self) -> int:
        return self.use.place.line

    @property
    def text(self) -> str:
        """The line, and the question."""
        whole = self.use.place._replace(column=0, end_line=self.line, end_column=None)
        return f"{excerpt(self.path, whole)}  # {self.other} instead of {self.use.name}?"

    def graph(self, name: str, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Edges (2, E) and order (n,) of the nodes where the variable `name` stands at the use.

        The use comes first, the variable's latest definition last.
        """
        last = max(self.use.reaching[name])
        rest = nodes[(nodes != self.use.node) & (nodes != last)]
        order = np.concatenate([[self.use.node], rest, [last]])
        number = np.full(len(self.function.words), -1)
        number[order] = np.arange(len(order))
        index = np.array(
            [edge for edge in self.function.edges if edge[1] != self.use.node]
            + [(source, self.use.node) for source in self.use.reaching[name]]
        ).T
        index = number[index]
        return index[:, (index >= 0).all(0)], order

    def nodes(self, limit: int) -> np.ndarray:
        """The use, the definitions of both variables, and the nodes next to them; sorted.

        Breadth first along edges of both graphs, either way, `limit` nodes at most (but all those
        that are definitions), so that both variables have the same nodes.
        """
        beside = self.function.beside
        reaching = self.use.reaching
        kept = dict.fromkeys(
            [self.use.node, *reaching[self.use.name], *reaching[self.other]]
        )
        queue = list(kept)
        for node in queue:
            for other in beside[node]:
                if len(kept) >= limit:
                    return np.array(sorted(kept))
                if other not in kept:
                    kept[other] = None
                    queue.append(other)
        return np.array(sorted(kept))


@sn.tasks.register("callgraph")
class Callgraph(sn.Task):
    """Does a function read the right variable?

    """

    structures = ("graph",)
    classes = ("as written", "misused")
    wanted = "misused"
    group = 2
    num_outputs = 1

    def __init__(self, *, root: str | None = None, min_count: int = 3, nodes: int = 40):
        self.root = None if root is None else Path(root).expanduser()
        self.min_count, self.nodes = min_count, nodes

    def readout(self, topology: sn.Topology) -> str:
        return "ends"

    def load(self, topology: sn.Topology) -> dict[str, Sequence[sn.Sample]]:
        splits = split_files(self.root)
        random = np.random.default_rng(0)
        self._found = {name: list(_draw(files, random)) for name, files in splits.items()}
        if self.vocabulary is None:
            words = (w for f in dict.fromkeys(m.function for m in self._found["train"]) for bag in f.words for w in bag)
            self.vocabulary = sn.Vocabulary.count(words, self.min_count)
        return {
            name: [
                sample
                for misuse, wrong in zip(some, self._shown(name, len(some)), strict=True)
                for sample in self._pair(misuse, wrong)
            ]
            for name, some in self._found.items()
        }

    @staticmethod
    def _shown(split: str, count: int) -> list[bool]:
        return [False] * count if split == "train" else _half(count).tolist()

    def sample_output(self, output: Tensor, batch: sn.Batch) -> Tensor:
        return output.view(-1, self.group)

    def loss(self, output: Tensor, batch: sn.Batch) -> Tensor:
        scores = self.sample_output(output, batch)
        return torch.nn.functional.cross_entropy(scores, batch.y[:: self.group])

    def _pair(self, misuse: Misuse, wrong: bool) -> Iterator[sn.Sample]:
        nodes = misuse.nodes(self.nodes)
        names = (misuse.use.name, misuse.other)
        for name in names[::-1] if wrong else names:
            index, order = misuse.graph(name, nodes)
            words = [misuse.function.words[node] for node in order.tolist()]
            yield sn.Sample(
                structure=sn.Edges(index, len(order)),
                x=self.vocabulary.tokens(words),
                y=int(wrong),
                origin=misuse,
            )


def _draw(files: Sequence[Path], random: np.random.Generator) -> Iterator[Misuse]:
    for function in _read(files):
        uses = [use for use in function.uses if use.others]
        for use in random.permutation(len(uses))[:USES]:
            use = uses[use]
            yield Misuse(function, use, use.others[random.integers(len(use.others))])


def _read(files: Sequence[Path]) -> Iterator[Function]:
    for file in files:
        try:
            found = list(functions(file))
        except (SyntaxError, OSError) as error:
            warnings.warn(f"passed over {error}", sn.DataWarning, stacklevel=2)
            continue
        yield from found


def _half(count: int) -> np.ndarray:
    return np.random.default_rng(0).permutation(count) % 2 == 1
