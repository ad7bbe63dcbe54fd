"""Trees in JSON.

A file has one tree after the other, or lists of trees. A tree is written in one of two forms:

    {"label": "NP", "children": [{"label": "DT", "word": "the"}, {"label": "NN", "word": "dog"}]}
    {"labels": ["NP", "DT", "NN"], "words": [null, "the", "dog"], "parents": [-1, 0, 0]}

A node has a word, children or both; its label may be left out, and is then not known. In the flat
form the parent is a node's number from 0 on, -1 at the root, and nodes are in any order; the
children of a node are in the order of their numbers.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

import structnet as sn
from structnet.plugins.treebanks.json_text import Value, values
from structnet.plugins.treebanks.tree import LabelledTree, in_preorder

NODE = ("label", "word", "children")
FLAT = ("labels", "words", "parents")


def read_json(path: Path) -> Iterator[LabelledTree]:
    """The trees of a file.

    ValueError names file, line and column of what is not JSON, and of what is not a tree; other
    errors are those of `sn.read_text`.
    """
    for value in values(path, sn.read_text(path)):
        for tree in value.content if isinstance(value.content, list) else [value]:
            keys = tree.content if isinstance(tree.content, dict) else {}
            yield _flat(path, tree) if any(key in FLAT for key in keys) else _nested(path, tree)


def _nested(path: Path, root: Value) -> LabelledTree:
    labels: list[str] = []
    words: list[str] = []
    parent: list[int] = []
    open_ = [(root, -1)]
    while open_:
        node, above = open_.pop()
        fields = node.fields(NODE, 'a node such as {"label": "NN", "word": "dog"}')
        children = fields["children"].items() if "children" in fields else []
        word = fields["word"].text() if "word" in fields else ""
        if not word and not children:
            raise node.mistake("a node has a word, or children")
        open_.extend((child, len(labels)) for child in reversed(children))
        parent.append(above)
        labels.append(fields["label"].text() if "label" in fields else "")
        words.append(word)
    return LabelledTree(path, root.line, labels, words, np.array(parent))


def _flat(path: Path, tree: Value) -> LabelledTree:
    fields = tree.fields(FLAT, "a tree with labels, words and parents")
    if missing := [name for name in FLAT if name not in fields]:
        raise tree.mistake(f"{missing[0]!r} is missing beside {', '.join(fields)}")
    labels, words, parents = (fields[name].items() for name in FLAT)
    if not len(labels) == len(words) == len(parents):
        raise tree.mistake(
            f"{len(labels)} labels, {len(words)} words and {len(parents)} parents: a node has one "
            "of each"
        )
    parent = [one.number(-1, len(labels) - 1) for one in parents]
    texts = [one.text() for one in words]
    try:
        found = in_preorder(path, tree.line, [one.text() for one in labels], texts, parent)
    except ValueError as error:
        raise fields["parents"].mistake(str(error)) from error
    for node in set(range(len(parent))).difference(parent):
        if not texts[node]:
            raise words[node].mistake(f"node {node} has neither a word nor children")
    return found
