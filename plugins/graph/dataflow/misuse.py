"""Questions about uses of variables: was another variable meant?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from structnet.plugins.code.sources import excerpt
from structnet.plugins.files.skipping import read_all
from structnet.plugins.graph.dataflow.functions import Function, functions
from structnet.plugins.graph.dataflow.reader import Use

Ints = NDArray[np.int64]
# The most uses of a function, drawn at random, so that long functions don't dominate.
USES = 8


@dataclass(frozen=True, slots=True, eq=False)
class Misuse:
    """A use of a variable, and another variable that is defined at this place."""

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
        """The question, and the line of the use."""
        whole = self.use.place._replace(column=0, end_line=self.line, end_column=None)
        return f"{self.other} instead of {self.use.name}? {excerpt(self.path, whole)}"

    @property
    def names(self) -> tuple[str, str]:
        """The variable as written, and the other one."""
        return self.use.name, self.other

    def readers(self, name: str) -> list[int]:
        """The other uses that the variable's definitions reach."""
        after = self.function.after
        found = dict.fromkeys(node for one in self.use.reaching[name] for node in after[one])
        return [node for node in found if node != self.use.node]

    def nodes(self, limit: int) -> Ints:
        """The use, all definitions of both variables and the nodes nearest to them, sorted.

        The distance counts edges in either direction. At most `limit` nodes, unless there are more
        definitions.
        """
        before, after = self.function.before, self.function.after
        reaching = [node for name in self.names for node in self.use.reaching[name]]
        kept = dict.fromkeys([self.use.node, *reaching])
        queue = list(kept)
        for node in queue:
            for near in (*before[node], *after[node]):
                if near not in kept and len(kept) < limit:
                    kept[near] = None
                    queue.append(near)
        return np.array(sorted(kept))

    def graph(self, name: str, nodes: Ints) -> tuple[Ints, Ints]:
        """The graph if variable `name` is read: nodes (n,) in an order, and edges (2, E) in it.

        The use comes first, the latest definition of the variable last.
        """
        function, use = self.function, self.use.node
        definitions = self.use.reaching[name]
        last = max(definitions)
        order = np.array([use, *nodes[(nodes != use) & (nodes != last)], last])
        place = np.full(len(function.words), -1)
        place[order] = np.arange(len(order))
        taken = [(source, use) for source in definitions]
        pairs = taken + [
            (source, node) for node in order[1:].tolist() for source in function.before[node]
        ]
        index = place[np.array(pairs, np.int64).T]
        return order, index[:, (index >= 0).all(0)]


def draw(files: Sequence[Path], random: np.random.Generator) -> Iterator[Misuse]:
    """Uses in every function of the files, each with another variable, drawn at random."""
    for function in read_all(files, functions):
        uses = [use for use in function.uses if use.others]
        for index in random.permutation(len(uses))[:USES]:
            use = uses[index]
            yield Misuse(function, use, use.others[random.integers(len(use.others))])


def ask_all(files: Sequence[Path], others: int) -> Iterator[Misuse]:
    """Every use in the files, with each of the last `others` variables defined there."""
    for function in read_all(files, functions):
        for use in function.uses:
            for other in use.others[-others:]:
                yield Misuse(function, use, other)
