"""Swapped operands: are the operands of an expression of real Python code exchanged?"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import structnet as sn
from structnet.plugins.code.choice import CodeChoice
from structnet.plugins.code.sources import read_all
from structnet.plugins.code.trees import check_arity, child_table
from structnet.plugins.tree.expressions.expression import (
    Expression,
    Nodes,
    expressions,
)


@sn.tasks.register("swapped")
class Swapped(CodeChoice):
    """Were the two operands, or the first two arguments, written the other way round?

    After Pradel and Sen (2018), "DeepBugs", section 3.2. The samples are binary operations, single
    comparisons, and calls with two or more positional arguments; operations and comparisons that
    mean the same either way, such as + * == and !=, are left out. Trees are binary, by left child
    and right sibling, or have any number of children; sequences are the words in source order.
    """

    structures = ("tree", "sequence")
    classes = ("as written", "swapped")
    kinds = ("call", "comparison", "operation")
    wanted = "swapped"
    pieces = "expressions"

    def check(self, topology: sn.Topology) -> None:
        super().check(topology)
        check_arity(topology, "swapped")

    def extract(self, splits: dict[str, list[Path]]) -> dict[str, list[Expression]]:
        return {name: list(self.extract_all(files)) for name, files in splits.items()}

    def extract_all(self, files: Sequence[Path]) -> Iterator[Expression]:
        return read_all(files, expressions)

    def words(self, pieces: Sequence[Expression]) -> Iterable[str]:
        return (word for piece in pieces for words in piece.nodes(False).words for word in words)

    def pair(
        self,
        piece: Expression,
        changed: bool,
        topology: sn.Topology,
        vocabulary: sn.Vocabulary,
    ) -> Iterator[sn.Sample]:
        for swapped in (changed, not changed):
            nodes = piece.nodes(swapped)
            words = nodes.words
            if topology.takes == "sequence":
                words = [words[node] for node in nodes.reading.tolist()]
            yield sn.Sample(
                structure=_structure(nodes, topology),
                x=vocabulary.tokens(words),
                y=int(changed),
                kind=self.kinds.index(piece.kind),
                origin=piece,
            )

    def node_names(self, sample: sn.Sample) -> Sequence[str]:
        """A node's own words, or its kind where it has none; words for its context are left out."""
        assert self.vocabulary is not None
        names = []
        for kind, *words in self.vocabulary.words(sample.x):
            own = [word for word in words if not word.startswith("<") and "()" not in word]
            names.append(" ".join(dict.fromkeys(own)) or kind)
        return names

    def baselines(self) -> dict[str, dict[str, float]]:
        # Imported here: scikit-learn takes a second, and only training needs it.
        from structnet.plugins.tree.expressions.baselines import fit_baselines

        train, test = self.loaded.source["train"], self.loaded.source["test"]
        swapped = np.array(self.shown_changed("test", len(test)))
        correct = fit_baselines(train, test, swapped, seed=0)
        kind = np.array([expression.kind for expression in test])
        there = [name for name in self.kinds if (kind == name).any()]
        return {
            name: {
                "accuracy": float(hits.mean()),
                **{one: float(hits[kind == one].mean()) for one in there},
            }
            for name, hits in correct.items()
        }


def _structure(nodes: Nodes, topology: sn.Topology) -> Any:
    if topology.takes == "sequence":
        return len(nodes.words)
    return child_table(nodes.parent, topology)
