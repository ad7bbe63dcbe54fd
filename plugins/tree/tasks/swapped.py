"""Swapped operands: are the operands of an expression of real Python code exchanged?"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

import structnet as sn
from structnet.plugins.code.choice import CodeChoice
from structnet.plugins.code.trees import as_tree, check_arity
from structnet.plugins.files.skipping import read_all
from structnet.plugins.tree.expressions.expression import (
    Expression,
    Nodes,
    expressions,
)

if TYPE_CHECKING:
    from structnet.plugins.tree.expressions.habits import Habits

# The weights of the two log-odds where habits are learned. Fitted to the expressions of NetworkX
# and of scikit-learn, they are within 0.03 of these.
NET, HABITS = 0.37, 1.25


@sn.tasks.register("swapped")
class Swapped(CodeChoice):
    """Were the two operands, or the first two arguments, written the other way round?

    After Pradel and Sen (2018), "DeepBugs", section 3.2. The samples are binary operations, single
    comparisons, and calls with two or more positional arguments; operations and comparisons that
    mean the same either way, such as + * == and !=, are left out. Equal ones of the training split
    are learned once. Trees are binary, by left child and right sibling, or have any number of
    children; sequences are the words in source order.

    Arguments:
        habits: a Python file or folder, such as a package, whose own habits predictions learn
            first, tests left out: how the same names are ordered elsewhere in it. Null for none.
    """

    structures = ("tree", "sequence")
    classes = ("as written", "swapped")
    kinds = ("call", "comparison", "operation")
    wanted = "swapped"
    pieces = "expressions"

    def __init__(self, *, habits: str | None = None, **options: Any):
        super().__init__(**options)
        self.habits = None if habits is None else Path(habits).expanduser()

    def check(self, topology: sn.Topology) -> None:
        super().check(topology)
        check_arity(topology, "swapped")

    def extract(self, splits: dict[str, list[Path]]) -> dict[str, list[Expression]]:
        found = {name: list(self.extract_all(files)) for name, files in splits.items()}
        return {**found, "train": _distinct(found["train"])}

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

    def ask(self, pieces: Iterable[Expression], topology: sn.Topology) -> Iterator[sn.Sample]:
        """The samples; their condition is the log-odds by habit, where habits are learned."""
        if self.habits is None:
            yield from super().ask(pieces, topology)
            return
        pieces = list(pieces)
        of_pairs = np.repeat(self._learned_habits.log_odds(pieces), self.group)
        for sample, odds in zip(super().ask(pieces, topology), of_pairs, strict=True):
            yield replace(sample, condition=odds)

    @cached_property
    def _learned_habits(self) -> "Habits":
        # Imported here: scikit-learn takes a second.
        from structnet.plugins.tree.expressions.habits import Habits

        assert self.habits is not None
        return Habits(self.habits)

    def log_odds(self, scores: Tensor, batch: sn.Batch) -> Tensor:
        by_net = super().log_odds(scores, batch)
        if batch.condition is None:
            return by_net
        return NET * by_net + HABITS * batch.condition[:: self.group]

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


def _distinct(found: Sequence[Expression]) -> list[Expression]:
    """The first of all expressions that are equal to a net."""
    first: dict[Any, Expression] = {}
    for one in found:
        nodes = one.nodes(False)
        first.setdefault((tuple(nodes.words), nodes.parent.tobytes()), one)
    return list(first.values())


def _structure(nodes: Nodes, topology: sn.Topology) -> Any:
    if topology.takes == "sequence":
        return len(nodes.words)
    return as_tree(nodes.parent, topology)
