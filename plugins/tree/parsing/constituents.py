"""Between trees of constituents and what a parser learns and finds.

Labels are those of `changes.collapsed` with words: a chain such as S+VP, which ends with the part
of speech where it is a word's, such as NP+PRP. Nodes above words have at least two children then.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

import structnet as sn
from structnet.plugins.tree.parsing import evalb
from structnet.plugins.tree.parsing.evalb import Bracket
from structnet.plugins.tree.parsing.gold import Gold, tree_part
from structnet.plugins.tree.parsing.parses import Parses
from structnet.plugins.treebanks.changes import CHAIN
from structnet.plugins.treebanks.tree import LabelledTree

Ints = np.ndarray
# Whether a label is a word's, and the label.
Label = tuple[bool, str]


def labels_of(tree: LabelledTree) -> list[Label]:
    """The label of every node."""
    return [(bool(word), label) for word, label in zip(tree.words, tree.labels, strict=True)]


def given_tree(tree: LabelledTree, numbers: Mapping[Label, int]) -> sn.Sample:
    """A tree as the part of a sample: first its words, then its phrases from the root on."""
    is_word = np.array([bool(word) for word in tree.words])
    order = np.concatenate([np.flatnonzero(is_word), np.flatnonzero(~is_word)])
    place = np.append(np.argsort(order), -1)
    y = np.array([numbers[label] for label in labels_of(tree)])
    return tree_part(place[tree.parent[order]], y[order])


@dataclass(frozen=True)
class Phrases:
    """Nodes over the words of a sentence, in any order: words, phrases, and nodes without a label.

    Arguments:
        labels: the label of every node, "" of a phrase that is none.
        spans: the first word of every node, and the one after the last (n, 2).
        is_word: whether a node is a word (n,).
        probabilities: of the labels (n,).
    """

    labels: list[str]
    spans: Ints
    is_word: Ints
    probabilities: Ints

    @classmethod
    def of(cls, tree: LabelledTree) -> "Phrases":
        """Those of a tree."""
        is_word = np.array([bool(word) for word in tree.words])
        return cls(tree.labels, tree.spans, is_word, np.ones(len(tree)))

    @cached_property
    def tags(self) -> list[str]:
        """The part of speech of every word, in their order."""
        words = np.flatnonzero(self.is_word)
        order = words[np.argsort(self.spans[words, 0])]
        return [self.labels[node].split(CHAIN)[-1] for node in order.tolist()]

    def brackets(self) -> Iterator[Bracket]:
        """The labels above words, with their spans."""
        rows = zip(self.labels, self.spans.tolist(), self.is_word.tolist(), strict=True)
        for label, (first, stop), is_word in rows:
            parts = label.split(CHAIN)
            for part in parts[:-1] if is_word else parts:
                if part:
                    yield Bracket(part, first, stop)

    def tree(self, words: list[str]) -> tuple[LabelledTree, Ints]:
        """The tree of the nodes with a label, every label of a chain by itself, and probabilities.

        A node without a label gives its children to the node above.
        """
        order = [
            node
            for node in np.lexsort((-self.spans[:, 1], self.spans[:, 0])).tolist()
            if self.labels[node] or self.is_word[node]
        ]
        labels: list[str] = []
        said: list[str] = []
        parent: list[int] = []
        nodes: list[int] = []
        open_: list[tuple[int, int]] = []
        for node in order:
            first, stop = self.spans[node].tolist()
            while open_ and open_[-1][1] <= first:
                open_.pop()
            above = open_[-1][0] if open_ else -1
            for part in self.labels[node].split(CHAIN):
                parent.append(above)
                above = len(labels)
                labels.append(part)
                said.append("")
                nodes.append(node)
            if self.is_word[node]:
                said[-1] = words[first]
            open_.append((above, stop))
        tree = LabelledTree("found", 1, labels, said, np.array(parent))
        return tree, self.probabilities[nodes]


def mistakes(tree: LabelledTree, given: Phrases) -> tuple[Ints, int | None]:
    """Which nodes (n,) are not in the given tree, as evalb counts, and how many others it has.

    A word is wrong if its part of speech is. None, and no node is wrong, where the given tree is
    not known.
    """
    wrong = np.zeros(len(tree), bool)
    if not any(given.labels):
        return wrong, None
    left = evalb.counted(given.brackets(), given.tags)
    inner = [node for node, word in enumerate(tree.words) if not word]
    spans = tree.spans.tolist()
    brackets = [Bracket(tree.labels[node], *spans[node]) for node in inner]
    for node, bracket in zip(inner, evalb.counting(brackets, given.tags), strict=True):
        if bracket:
            wrong[node] = not left[bracket]
            left[bracket] -= bool(left[bracket])
    words = [node for node, word in enumerate(tree.words) if word]
    wrong[words] = [tree.labels[node] != tag for node, tag in zip(words, given.tags, strict=True)]
    return wrong, left.total()


def found_phrases(output: Parses, scores: Tensor, classes: Sequence[str]) -> list[Phrases]:
    """The phrases of what a net found for each sample: of every node the most probable class.

    Arguments:
        output: the trees.
        scores: of the classes of their nodes, -inf where a node can't have one; class 0 is that of
            no phrase, which a tree's root is not.
        classes: the labels of classes.
    """
    is_word, names = output.children[:, 0] < 0, list(classes)
    roots = output.ptr[1:] - 1
    scores = scores.clone()
    scores[torch.from_numpy(roots[~is_word[roots]]), 0] = -torch.inf
    probabilities, labels = (one.numpy() for one in scores.softmax(1).max(1))
    return [
        Phrases(
            [names[label] for label in labels[a:b].tolist()],
            output.spans[a:b],
            is_word[a:b],
            probabilities[a:b],
        )
        for a, b in pairwise(output.ptr.tolist())
    ]


def given_phrases(batch: sn.Batch, classes: Sequence[str]) -> list[Phrases]:
    """The phrases of the trees that a batch was given; labels that are not known are ""."""
    ptr, names = batch.ptr.cpu().numpy(), list(classes)
    gold = Gold.of(batch.parts[0], ptr)
    found = []
    for sample, (a, b) in enumerate(pairwise(ptr.tolist())):
        inner = np.flatnonzero(gold.sizes[sample])
        first = gold.covers[a:b, inner].argmax(axis=0)
        words = np.arange(b - a)
        starts = np.concatenate([words, first])
        sizes = np.concatenate([np.ones_like(words), gold.sizes[sample, inner]])
        labels = np.concatenate([gold.leaf_labels[a:b], gold.labels[sample, inner]])
        found.append(
            Phrases(
                [names[label] if label >= 0 else "" for label in labels.tolist()],
                np.stack([starts, starts + sizes], axis=1),
                np.arange(len(labels)) < b - a,
                np.ones(len(labels)),
            )
        )
    return found
