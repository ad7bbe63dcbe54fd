"""What is done to trees of constituents: traces, functional tags, unary chains, binary trees."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np

from structnet.plugins.treebanks.heads import head_child
from structnet.plugins.treebanks.tree import LabelledTree

Binary = Literal["left", "right", "head"]
# The label of words that the Penn Treebank has where none is written.
TRACE = "-NONE-"
# Between the labels of a unary chain, and before that of a node which makes a tree binary.
CHAIN, BETWEEN = "+", "@"


def without_traces(tree: LabelledTree) -> LabelledTree | None:
    """The tree without words that are not written, and nodes with nothing else; None for none."""
    kept = np.zeros(len(tree), bool)
    leaf = tree.counts() == 0
    for node in range(len(tree) - 1, -1, -1):
        kept[node] |= bool(leaf[node]) and tree.labels[node] != TRACE
        if kept[node] and tree.parent[node] >= 0:
            kept[tree.parent[node]] = True
    return tree.only(kept) if kept[0] else None


def bare_label(label: str) -> str:
    """A label without functional tags: NP of NP-SBJ=1. One that begins with - stays, as -LRB-."""
    if label.startswith("-"):
        return label
    return label.split("-")[0].split("=")[0] or label


def bare_relation(label: str) -> str:
    """A dependency relation without its subtype: nsubj of nsubj:pass."""
    return label.split(":")[0] or label


def collapsed(tree: LabelledTree, with_words: bool = False) -> LabelledTree:
    """The tree with every chain of nodes with one child each as one node, such as S+VP.

    The word at the end of a chain stays a node of its own, or is part of it, such as NP+PRP.
    ValueError for a label with a plus sign.

    Arguments:
        tree: the tree.
        with_words: whether words are part of chains.
    """
    way_out = "rename it" if with_words else "set task.unary=keep"
    what = f"has {CHAIN!r}, which joins the labels of a unary chain: {way_out}"
    _refuse(tree, lambda label: CHAIN in label, what)
    counts, parent = tree.counts(), tree.parent.tolist()
    first = np.arange(len(tree))
    names, words = [[label] for label in tree.labels], list(tree.words)
    for node, above in enumerate(parent[1:], start=1):
        alone = counts[above] == 1 and (counts[node] or with_words)
        if alone and not tree.words[above] and (with_words or not tree.words[node]):
            first[node] = first[above]
            names[first[above]].append(tree.labels[node])
            words[first[above]] = tree.words[node]
    found = replace(tree, labels=[CHAIN.join(some) for some in names], words=words)
    return found.only(first == np.arange(len(tree)))


def expanded(tree: LabelledTree) -> LabelledTree:
    """The tree that `collapsed` was given."""
    labels: list[str] = []
    words: list[str] = []
    parent: list[int] = []
    last: list[int] = []
    for node, label in enumerate(tree.labels):
        above = last[tree.parent[node]] if node else -1
        for part in label.split(CHAIN):
            parent.append(above)
            above = len(labels)
            labels.append(part)
            words.append("")
        words[-1] = tree.words[node]
        last.append(above)
    return replace(tree, labels=labels, words=words, parent=np.array(parent))


def binarised(tree: LabelledTree, side: Binary) -> LabelledTree:
    """The tree with two children per node at most, by nodes with labels such as @NP.

    (NP a b c) becomes (NP (@NP a b) c) for left, (NP a (@NP b c)) for right. For head, children are
    added to the head child, by `head_child`, first those to its right, then those to its left.
    ValueError for a label that begins with @.
    """
    what = f"begins with {BETWEEN!r}, as those of nodes that make a tree binary do: rename it"
    _refuse(tree, lambda label: label.startswith(BETWEEN), what)
    children = tree.children()
    labels: list[str] = []
    words: list[str] = []
    parent: list[int] = []
    # A node with its children from one to before another, whether it is the node itself, and the
    # place of its head among its children.
    open_ = [(0, 0, len(children[0]), True, _head(tree, 0, children[0], side), -1)]
    while open_:
        node, low, high, is_own, head, above = open_.pop()
        at = len(labels)
        labels.append(tree.labels[node] if is_own else BETWEEN + tree.labels[node])
        words.append(tree.words[node] if is_own else "")
        parent.append(above)
        below = children[node]
        if high - low <= 2:
            parts = [(i, i + 1) for i in range(low, high)]
        elif low < head:
            parts = [(low, low + 1), (low + 1, high)]
        else:
            parts = [(low, high - 1), (high - 1, high)]
        for a, b in reversed(parts):
            if b - a == 1:
                child, some = below[a], children[below[a]]
                own_head = _head(tree, child, some, side)
                open_.append((child, 0, len(some), True, own_head, at))
            else:
                open_.append((node, a, b, False, head, at))
    return replace(tree, labels=labels, words=words, parent=np.array(parent))


def unbinarised(tree: LabelledTree) -> LabelledTree:
    """The tree that `binarised` was given."""
    return tree.only(np.array([not label.startswith(BETWEEN) for label in tree.labels]))


def _head(tree: LabelledTree, node: int, children: list[int], side: Binary) -> int:
    """The child that others are added to: the last for right, the first for left."""
    if side == "left" or not children:
        return 0
    if side == "right":
        return len(children) - 1
    names = [bare_label(tree.labels[child]) for child in children]
    return head_child(bare_label(tree.labels[node]), names)


def _refuse(tree: LabelledTree, wrong: Callable[[str], bool], what: str) -> None:
    for node, label in enumerate(tree.labels):
        if wrong(label):
            raise ValueError(f"{tree.place}: label {label!r} of node {node} {what}")
