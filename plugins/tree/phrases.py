"""Trees as one types them, `( ( It 's ) ( ( not good ) . ) )`, with or without labels."""

import re

import numpy as np

import structnet as sn
from structnet.plugins.treebanks.brackets import read_line
from structnet.plugins.treebanks.tree import LabelledTree

# Every bracket begins with a number, which is then a label.
LABELLED = re.compile(r"\(\s*[0-9]+(?=[\s()])")


def read_phrases(text: sn.Origin) -> LabelledTree:
    """The tree of a text in brackets, whose parts are words and further brackets.

    Where every bracket begins with a number, these are labels, as in a treebank; else all labels
    are "". Brackets around a single part are that part. ValueError names path, line and column.
    """
    is_labelled = len(LABELLED.findall(text.text)) == text.text.count("(") > 0
    tree = read_line(text, labelled=is_labelled).tree()
    return tree if is_labelled else tree.only(tree.counts() != 1)


def check_parts(tree: LabelledTree, most: int | None) -> None:
    """ValueError for a node of more parts than the net's trees have, with what to type."""
    count = np.bincount(tree.parent[1:], minlength=1)
    if most is None or count.max() <= most:
        return
    node = int(np.argmax(count > most))
    leaves, spans = tree.leaves, tree.spans
    parts = [_bracketed(leaves[first:stop]) for first, stop in spans[tree.parent == node].tolist()]
    joined = 1 + len(parts) - most
    first, stop = spans[node]
    typed = f"( ( {' '.join(parts[:joined])} ) {' '.join(parts[joined:])} )"
    raise ValueError(
        f"{tree.path}, line {tree.line}: {_shortened(' '.join(leaves[first:stop]))!r} has "
        f"{len(parts)} parts, nodes of the net's trees have at most {most}: put brackets around "
        f"what belongs together, as in {_shortened(typed)}"
    )


def suggested(words: list[str]) -> str:
    """What to type for words without brackets: a tree of them that branches to the right."""
    if not 0 < len(words) <= 12:
        return "( ( It 's ) ( ( not good ) . ) )"
    if len(words) == 1:
        return f"( {words[0]} )"
    *before, last = words
    return "( " + " ( ".join(before) + f" {last}" + " )" * len(before)


def _bracketed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"( {' '.join(words)} )"


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}..."
