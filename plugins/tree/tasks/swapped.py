"""Swapped operands: was an expression of real Python code written the wrong way round?"""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from structnet.plugins.code.sources import (
    python_files,
    refuse_all_unread,
    split_files,
    standard_library,
)
from structnet.plugins.tree.expressions.expression import (
    Expression,
    Nodes,
    expressions,
    left_child_right_sibling,
)
from torch import Tensor

import structnet as sn


@sn.tasks.register("swapped")
class Swapped(sn.Task):
    """Were the two operands, or the first two arguments, written the other way round?

    After Pradel and Sen (2018), "DeepBugs", section 3.2. The samples are binary operations, single
    comparisons and calls with two or more positional arguments in the Python files below `root`,
    tests left out (null: the standard library). Files, one in ten each, make the validation and
    test splits, where half of the samples are swapped; in training each appears in both orders.
    Words seen fewer than `min_count` times in training are unknown. Trees are binary by left child
    and right sibling, or have any number of children; sequences are the words as the source reads.

    The net gives an expression one score. It sees the expression as it stands and with the operands
    exchanged, and the two scores are the two classes' logits: exchanging the operands exchanges the
    probabilities, exactly.

    Arguments:
        root: a Python file or a folder with such files below; null is the standard library.
        min_count: the times that a word is seen in training at least, to be known.
    """

    structures = ("tree", "sequence")
    classes = ("as written", "swapped")
    kinds = ("call", "comparison", "operation")
    wanted = "swapped"
    group = 2
    num_outputs = 1

    def __init__(self, *, root: str | None = None, min_count: int = 2):
        if min_count < 1:
            raise ValueError(f"option 'min_count' is at least 1, got {min_count}")
        self.root = None if root is None else Path(root).expanduser()
        self.min_count = min_count

    def check(self, topology: sn.Topology) -> None:
        super().check(topology)
        if topology.takes == "tree" and topology.arity not in (2, None):
            raise ValueError(
                f"task 'swapped' has trees of arity 2 (left child, right sibling) or null (any "
                f"number of children), the topology's arity is {topology.arity}"
            )

    def find(self) -> dict[str, list[Path]]:
        return split_files(self.root)

    def load(self, topology: sn.Topology) -> dict[str, Sequence[sn.Sample]]:
        splits = self.find()
        found = {name: list(_read(files)) for name, files in splits.items()}
        for name, some in found.items():
            if not some:
                raise ValueError(
                    f"no expressions for the {name} split below {self.root or standard_library()} "
                    f"({len(splits[name])} files); give task.root a folder with more Python files"
                )
        self._found = found
        if self.vocabulary is None:
            words = (
                word
                for expression in found["train"]
                for bag in expression.nodes(False).words
                for word in bag
            )
            self.vocabulary = sn.Vocabulary.count(words, self.min_count)
        return {
            name: [
                sample
                for expression, swapped in zip(some, self._shown(name, len(some)), strict=True)
                for sample in self._pair(expression, swapped, topology)
            ]
            for name, some in found.items()
        }

    @staticmethod
    def _shown(split: str, count: int) -> list[bool]:
        """Which are shown swapped; in training both orders are seen alike."""
        return [False] * count if split == "train" else _half(count).tolist()

    def node_names(self, sample: sn.Sample) -> Sequence[str]:
        """The words of a node itself, or its kind where it has none; those around it left out."""
        assert self.vocabulary is not None
        names = []
        for kind, *words in self.vocabulary.words(sample.x):
            own = [word for word in words if not word.startswith("<") and "()" not in word]
            names.append(" ".join(dict.fromkeys(own)) or kind)
        return names

    def sample_output(self, output: Tensor, batch: sn.Batch) -> Tensor:
        return output.view(-1, self.group)

    def loss(self, output: Tensor, batch: sn.Batch) -> Tensor:
        scores = self.sample_output(output, batch)
        return self.cross_entropy(scores, batch.y[:: self.group])

    def baselines(self) -> dict[str, dict[str, float]]:
        # Imported here: scikit-learn takes a second, and only training needs it.
        from structnet.plugins.tree.expressions.baselines import fit_baselines

        test = self._found["test"]
        correct = fit_baselines(self._found["train"], test, _half(len(test)), seed=0)
        kind = np.array([self.kinds.index(expression.kind) for expression in test])
        return {
            name: {
                "accuracy": float(hits.mean()),
                **{k: float(hits[kind == i].mean()) for i, k in enumerate(self.kinds)},
            }
            for name, hits in correct.items()
        }

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        for expression in _read(python_files(path, tests=True)):
            yield from self._pair(expression, False, topology)

    def _pair(
        self, expression: Expression, swapped: bool, topology: sn.Topology
    ) -> Iterator[sn.Sample]:
        """The expression as it is shown and with its operands exchanged."""
        for order in (swapped, not swapped):
            nodes = expression.nodes(order)
            words = nodes.words
            if topology.takes == "sequence":
                words = [words[node] for node in nodes.reading.tolist()]
            assert self.vocabulary is not None
            yield sn.Sample(
                structure=_structure(nodes, topology),
                x=self.vocabulary.tokens(words),
                y=int(swapped),
                kind=self.kinds.index(expression.kind),
                origin=expression,
            )


def _structure(nodes: Nodes, topology: sn.Topology) -> Any:
    if topology.takes == "sequence":
        return len(nodes.words)
    if topology.arity == 2:
        return left_child_right_sibling(nodes.parent)
    return sn.Edges.of_parents(nodes.parent).table()


def _read(files: Sequence[Path]) -> Iterator[Expression]:
    passed_over = 0
    for file in files:
        try:
            found = list(expressions(file))
        except (SyntaxError, OSError) as error:
            warnings.warn(f"passed over {error}", sn.DataWarning, stacklevel=2)
            passed_over += 1
            continue
        yield from found
    refuse_all_unread(files, passed_over)


def _half(count: int) -> np.ndarray:
    """Half of them True, by a fixed draw: every run and every model is tested on the same."""
    return np.random.default_rng(0).permutation(count) % 2 == 1
