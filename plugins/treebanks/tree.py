"""Labelled trees, as all readers give them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import structnet as sn

Ints = np.ndarray


@dataclass(frozen=True)
class LabelledTree:
    """A tree with a label per node, from a file.

    Constituents are in pre-order from the root on, and their words at the leaves; the nodes of a
    dependency tree are the words of a sentence, in its order. Children are in the order of nodes.

    Arguments:
        path: the file.
        line: where the tree begins in it, from 1 on.
        labels: a label per node, "" where there is none.
        words: a word per node, "" where there is none.
        parent: every node's parent, -1 at the root.
    """

    path: Any
    line: int
    labels: list[str]
    words: list[str]
    parent: Ints

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of(
        cls, text: sn.Origin, labels: list[str], words: list[str], parent: list[int]
    ) -> "LabelledTree":
        """The tree that was read from a text."""
        return cls(text.path, text.line, labels, words, np.array(parent))

    @property
    def text(self) -> str:
        return " ".join(self.leaves)

    @property
    def leaves(self) -> list[str]:
        """The words in their order."""
        return [word for word in self.words if word]

    @property
    def spans(self) -> Ints:
        """Of the words, the first below every node and the one after the last (n, 2).

        A node's own word is below it. The nodes are in pre-order.
        """
        stop = np.arange(1, len(self) + 1)
        for node in range(len(self) - 1, 0, -1):
            above = self.parent[node]
            stop[above] = max(stop[above], stop[node])
        before = np.concatenate([[0], np.cumsum([bool(word) for word in self.words])])
        return np.stack([before[:-1], before[stop]], axis=1)

    @property
    def place(self) -> str:
        """Where the tree is, for messages."""
        return f"{self.path}, line {self.line}"

    def counts(self) -> Ints:
        """The number of children of every node."""
        return np.bincount(self.parent[self.parent >= 0], minlength=len(self))

    def children(self) -> list[list[int]]:
        """The children of every node, in order."""
        found: list[list[int]] = [[] for _ in self.labels]
        for node, above in enumerate(self.parent.tolist()):
            if above >= 0:
                found[above].append(node)
        return found

    def with_labels(self, labels: Sequence[str]) -> "LabelledTree":
        return replace(self, labels=list(labels))

    def only(self, kept: np.ndarray) -> "LabelledTree":
        """The tree of the nodes that are kept; children of others are their next one above.

        The nodes are in pre-order.
        """
        parent = self.parent.copy()
        for node in range(1, len(self)):
            if not kept[self.parent[node]]:
                parent[node] = parent[self.parent[node]]
        number = np.append(np.cumsum(kept) - 1, -1)
        nodes = np.flatnonzero(kept).tolist()
        return replace(
            self,
            labels=[self.labels[node] for node in nodes],
            words=[self.words[node] for node in nodes],
            parent=number[parent[kept]],
        )


def in_preorder(
    path: Path, line: int, labels: Sequence[str], words: Sequence[str], parent: Sequence[int]
) -> LabelledTree:
    """The tree with its nodes in pre-order, children in the order of their numbers.

    ValueError, which the caller begins with the place, unless there is one root from which all
    nodes are reached.
    """
    children: list[list[int]] = [[] for _ in parent]
    roots = [node for node, above in enumerate(parent) if above < 0]
    for node, above in enumerate(parent):
        if above >= 0:
            children[above].append(node)
    if len(roots) != 1:
        raise ValueError(f"{len(roots)} roots, nodes whose parent is -1: a tree has one")
    order: list[int] = []
    found: list[int] = []
    open_ = [(roots[0], -1)]
    while open_:
        node, parent_at = open_.pop()
        open_.extend((child, len(order)) for child in reversed(children[node]))
        order.append(node)
        found.append(parent_at)
    if len(order) < len(parent):
        node = min(set(range(len(parent))).difference(order))
        raise ValueError(f"node {node} is not below the root, it is part of a cycle or below one")
    return LabelledTree(
        path, line, [labels[i] for i in order], [words[i] for i in order], np.array(found)
    )


def below_no_root(parent: Ints) -> int | None:
    """A node from which no root is reached; None where all are below one."""
    above, steps = parent.copy(), 1
    # After each round `above` is twice as many steps up.
    while steps < len(parent):
        above, steps = np.where(above >= 0, above[above], -1), 2 * steps
    found = np.flatnonzero(above >= 0)
    return int(found[0]) if found.size else None
