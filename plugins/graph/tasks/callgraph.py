"""Variable misuse: does a function of real Python code read the variable that was meant?"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import structnet as sn
from structnet.plugins.code.choice import CodeChoice
from structnet.plugins.graph.dataflow.misuse import Misuse, ask_all, draw

# How many other variables are asked about for each use in a user's files.
OTHERS = 4


@sn.tasks.register("callgraph")
class Callgraph(CodeChoice):
    """Which of two variables was read at a place, judged by the data flow of the function.

    The variable misuse of Allamanis et al. (2018), section 4.2, as a choice between two variables.
    The samples are uses of variables in functions, at most eight per function, each with another
    variable that is defined there; `self` and `cls` are left out. A graph holds the values that
    flow from definitions to uses, operations and calls. The use is its first node and the
    definition that it reads the last one, so that readout `ends` gives both ends of the edge in
    question. The use does not carry the variable's name, its definition does.

    Arguments:
        nodes: the largest number of nodes of a graph; the nearest ones are kept.
    """

    structures = ("graph",)
    classes = ("as written", "misused")
    wanted = "misused"
    pieces = "uses of variables"

    def __init__(self, *, min_count: int = 3, nodes: int = 16, **options: Any):
        super().__init__(min_count=min_count, **options)
        if nodes < 1:
            raise ValueError(f"option 'nodes' is at least 1, got {nodes}")
        self.nodes = nodes

    def readout(self, topology: sn.Topology) -> str:
        return "ends"

    def extract(self, splits: dict[str, list[Path]]) -> dict[str, list[Misuse]]:
        random = np.random.default_rng(0)
        return {name: list(draw(files, random)) for name, files in splits.items()}

    def extract_all(self, files: Sequence[Path]) -> Iterator[Misuse]:
        return ask_all(files, OTHERS)

    def words(self, pieces: Sequence[Misuse]) -> Iterable[str]:
        functions = dict.fromkeys(misuse.function for misuse in pieces)
        return (word for function in functions for words in function.words for word in words)

    def pair(
        self, piece: Misuse, changed: bool, topology: sn.Topology, vocabulary: sn.Vocabulary
    ) -> Iterator[sn.Sample]:
        nodes = piece.nodes(self.nodes)
        for name in piece.names[::-1] if changed else piece.names:
            order, index = piece.graph(name, nodes)
            words = [piece.function.words[node] for node in order.tolist()]
            yield sn.Sample(
                structure=sn.Edges(index, len(order)),
                x=vocabulary.tokens(words),
                y=int(changed),
                origin=piece,
            )

    def baselines(self) -> dict[str, dict[str, float]]:
        # Imported here: scikit-learn takes a second, and only training needs it.
        from structnet.plugins.graph.dataflow.baselines import fit_neighbourhoods

        found = fit_neighbourhoods(self.loaded.source["train"], self.loaded.source["test"])
        return {name: {"accuracy": float(hits.mean())} for name, hits in found.items()}
