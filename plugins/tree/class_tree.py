"""A tree with a class at every node, for people: as lines of text, a picture, and plain data."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.treebanks.tree import LabelledTree

# Deeper nodes are not indented further, and longer phrases are cut.
MOST_LEVELS, SHOWN = 24, 60
WHITE, BLACK = np.ones(3), np.zeros(3)


@dataclass(frozen=True)
class Classes:
    """The classes of nodes, in their order.

    Arguments:
        names: of the classes.
        marks: a character or two for each, which stands in a node of a picture.
        colours: of each, where it is certain: (C, 3), from 0 to 1.
    """

    names: Sequence[str]
    marks: Sequence[str]
    colours: Sequence[tuple[float, float, float]]

    def colour(self, label: int, probability: float) -> NDArray[np.float64]:
        """The colour of a class, lighter the less probable it is."""
        chance = 1 / len(self.names)
        share = 0.15 + 0.85 * max(0.0, probability - chance) / (1 - chance)
        return WHITE + share * (np.array(self.colours[label]) - WHITE)


@dataclass(frozen=True)
class ClassTree:
    """A tree, the probabilities of its nodes' classes, and the classes that it was given.

    Arguments:
        tree: the tree.
        classes: of its nodes.
        probabilities: (n, C); None to show the given classes alone.
        given: (n,), `sn.IGNORE` where no class is given.
    """

    tree: LabelledTree
    classes: Classes
    probabilities: NDArray[np.float64] | None
    given: NDArray[np.int64]

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """The classes that are shown (n,): the most probable ones, else those given."""
        return self.given if self.probabilities is None else self.probabilities.argmax(1)

    @cached_property
    def wrong(self) -> NDArray[np.bool_]:
        """Whether a node's class is given and another one (n,)."""
        return (self.given != sn.IGNORE) & (self.given != self.labels)

    def probability(self, node: int) -> float:
        return 1.0 if self.probabilities is None else float(self.probabilities[node].max())

    def colour(self, node: int) -> NDArray[np.float64]:
        """The colour of a node, white where its class is not known."""
        label = int(self.labels[node])
        return WHITE if label < 0 else self.classes.colour(label, self.probability(node))

    @property
    def verdict(self) -> str:
        """What is said of the root, and how many nodes are wrong."""
        names, known = self.classes.names, int((self.given != sn.IGNORE).sum())
        if self.probabilities is None:
            return f"given: {names[self.given[0]]}" if self.given[0] >= 0 else ""
        said = f"{names[self.labels[0]]} {self.probability(0):.2f}"
        if self.given[0] >= 0:
            said += f", given: {names[self.given[0]]}"
        return f"{said}; {int(self.wrong.sum())} of {known} nodes wrong" if known else said

    def figure(self, title: str) -> Any:
        # Imported here, as plugins are imported with torch and numpy alone.
        from structnet.plugins.tree.picture import figure

        return figure(self, title)

    def text(self) -> Any:
        """A line for every node: class, probability, the given class, and its phrase."""
        from rich.text import Text

        names, is_given = self.classes.names, bool((self.given != sn.IGNORE).any())
        wide = max(map(len, names))
        lines = []
        for node, phrase in enumerate(phrases(self.tree)):
            label, given = int(self.labels[node]), int(self.given[node])
            name = names[label] if label >= 0 else ""
            line = Text()
            line.append(f" {self.classes.marks[label]:^2} ", self._style(node) if name else "")
            line.append(f" {name:<{wide}}")
            if self.probabilities is not None:
                line.append(f" {self.probability(node):.2f}")
            if is_given and self.probabilities is not None:
                wrong = bool(self.wrong[node])
                said = f"given {names[given]}{' ✗' if wrong else ''}" if given >= 0 else ""
                line.append(f"  {said:<{wide + 8}}", "bold red" if wrong else "dim")
            lines.append(line.append("  ").append_text(phrase))
        return Text("\n").join(lines)

    def as_dict(self) -> dict[str, Any]:
        names, nodes = self.classes.names, []
        rows = zip(self.tree.parent.tolist(), self.tree.spans.tolist(), strict=True)
        for node, (parent, (first, stop)) in enumerate(rows):
            label, given = int(self.labels[node]), int(self.given[node])
            said: dict[str, Any] = {"parent": parent, "first": first, "stop": stop}
            if self.tree.words[node]:
                said["word"] = self.tree.words[node]
            if self.probabilities is not None:
                row = self.probabilities[node].tolist()
                said |= {"class": names[label], "probability": round(row[label], 6)}
                said["probabilities"] = {n: round(p, 6) for n, p in zip(names, row, strict=True)}
            if given >= 0:
                said |= {"given": names[given], "wrong": bool(self.wrong[node])}
            nodes.append(said)
        return {"leaves": self.tree.leaves, "nodes": nodes}

    def _style(self, node: int) -> str:
        colour = self.colour(node)
        red, green, blue = (round(255 * one) for one in colour)
        return f"bold {'white' if is_dark(colour) else 'black'} on rgb({red},{green},{blue})"


def is_dark(colour: NDArray[np.float64]) -> bool:
    """Whether text on a colour has to be white."""
    return bool(colour @ (0.3, 0.6, 0.1) < 0.55)


def phrases(tree: LabelledTree) -> Iterator[Any]:
    """The phrase of every node, behind lines that lead to it from its parent's."""
    from rich.text import Text

    parent, leaves = tree.parent.tolist(), tree.leaves
    last = {above: node for node, above in enumerate(parent)}
    # What stands before the children of every node, and its level.
    before, level = [""] * len(parent), [0] * len(parent)
    for node, (first, stop) in enumerate(tree.spans.tolist()):
        above, line = parent[node], Text()
        is_last = last[above] == node
        if above >= 0:
            level[node] = level[above] + 1
            before[node] = before[above]
            if level[node] <= MOST_LEVELS:
                before[node] += "   " if is_last else "│  "
                line.append(before[above] + ("└─ " if is_last else "├─ "), "dim")
            else:
                line.append(f"{before[above]}(level {level[node]}) ", "dim")
        # Every word has a character and a space behind it, at least.
        phrase = " ".join(leaves[first : min(stop, first + SHOWN)])
        phrase = phrase if len(phrase) <= SHOWN else f"{phrase[: SHOWN - 1]}…"
        yield line.append(sn.visible(phrase), "bold" if tree.words[node] else "")
