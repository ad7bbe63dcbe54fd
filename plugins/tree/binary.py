"""Binary trees without labels, `( a ( b c ) )`."""

from dataclasses import dataclass

import numpy as np

from structnet.plugins.treebanks.brackets import Place, mistake, read_line


@dataclass(frozen=True)
class Binary:
    """A binary tree, its nodes in post-order: the root is the last one.

    `children` is (n, 2), -1 at leaves. `words` has one word per leaf and "" at inner nodes;
    `places` says where in the line a leaf, or the opening bracket of an inner node, was read.
    """

    words: list[str]
    children: np.ndarray
    places: list[int]


def read_binary(line: Place, start: int = 0, stop: int | None = None) -> Binary:
    """The tree of a line or a part of it, as `read_line`; ValueError unless brackets hold pairs.

    A single word is a tree of one node.
    """
    read = read_line(line, labelled=False, start=start, stop=stop)
    below: list[list[int]] = [[] for _ in read.words]
    for number, node in enumerate(read.closed):
        if len(below[node]) not in (0, 2):
            what = f"these round brackets have {len(below[node])} in them, expected a pair"
            raise mistake(line, read.places[node], what)
        if (above := read.parent[node]) >= 0:
            below[above].append(number)
    return Binary(
        [read.words[node] for node in read.closed],
        np.array([below[node] or (-1, -1) for node in read.closed], np.int64),
        [read.places[node] for node in read.closed],
    )
