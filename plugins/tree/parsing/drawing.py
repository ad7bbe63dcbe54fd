"""A tree of constituents for people: as lines of text, a picture, and plain data."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.tree.class_tree import phrases
from structnet.plugins.treebanks.brackets import bracketed
from structnet.plugins.treebanks.tree import LabelledTree

# Around a label in a picture, in points, and from the root up to the top in inches.
PADDING, ABOVE = 1.5, 0.6
RED, BLACK, PALE = "#b2182b", "#111111", "#888888"


@dataclass(frozen=True)
class ParseTree:
    """A tree, how sure its labels are, and what the given tree has instead.

    Arguments:
        tree: the tree, every label with a node of its own.
        probabilities: of the labels (n,); None to show the tree that is given.
        wrong: whether a node is not in the given tree, or not with its label (n,).
        missed: how many nodes of the given tree are not in this one; None where it is not known.
    """

    tree: LabelledTree
    probabilities: NDArray[np.float64] | None
    wrong: NDArray[np.bool_]
    missed: int | None

    @cached_property
    def verdict(self) -> str:
        """How many brackets are wrong, and how many are missed."""
        if self.missed is None or self.probabilities is None:
            return ""
        wrong = [
            bool(one) for one, word in zip(self.wrong, self.tree.words, strict=True) if not word
        ]
        return f"{sum(wrong)} of {len(wrong)} brackets wrong, {self.missed} missed"

    def text(self) -> Any:
        """The tree in brackets, and a line for every node: label, probability and phrase."""
        from rich.text import Text

        wide = max(map(len, self.tree.labels))
        lines = [Text(sn.visible(bracketed(self.tree)))]
        for node, phrase in enumerate(phrases(self.tree)):
            wrong = bool(self.wrong[node])
            line = Text(f" {sn.visible(self.tree.labels[node]):<{wide}}", "red" if wrong else "")
            if self.probabilities is not None:
                line.append(f" {self.probabilities[node]:.2f}")
            if self.missed is not None:
                line.append(" ✗" if wrong else "  ", "bold red")
            lines.append(line.append("  ").append_text(phrase))
        return Text("\n").join([*lines, *filter(None, [Text(self.verdict)])])

    def figure(self, title: str) -> Any:
        from structnet.plugins.tree.picture import BELOW, FONT, canvas

        drawn = canvas(self.tree, "; ".join(filter(None, [title, self.verdict])), ABOVE)
        axes, words = drawn.axes, drawn.words
        box = {"facecolor": "white", "edgecolor": "none", "pad": PADDING}
        for node, (right, up) in enumerate(drawn.at.tolist()):
            label, wrong = self.tree.labels[node], bool(self.wrong[node])
            axes.text(right, up, label, fontsize=FONT, ha="center", va="center", bbox=box,
                      color=self._colour(node), weight="bold" if wrong else "normal",
                      parse_math=False)  # fmt: skip
            axes.text(right, up - BELOW, words[node], fontsize=FONT, ha="center", va="baseline",
                      parse_math=False)  # fmt: skip
        return drawn.figure

    def as_dict(self) -> dict[str, Any]:
        tree, nodes = self.tree, []
        rows = zip(tree.labels, tree.words, tree.parent.tolist(), tree.spans.tolist(), strict=True)
        for node, (label, word, parent, (first, stop)) in enumerate(rows):
            said: dict[str, Any] = {"label": label, "parent": parent, "first": first, "stop": stop}
            if word:
                said["word"] = word
            if self.probabilities is not None:
                said["probability"] = round(float(self.probabilities[node]), 6)
            if self.missed is not None:
                said["wrong"] = bool(self.wrong[node])
            nodes.append(said)
        return {"tree": bracketed(tree), "leaves": tree.leaves, "nodes": nodes}

    def _colour(self, node: int) -> str:
        """Red for what is wrong, and pale for what is less sure than not."""
        if self.wrong[node]:
            return RED
        return BLACK if self.probabilities is None or self.probabilities[node] >= 0.5 else PALE
