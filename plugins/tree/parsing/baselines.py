"""Trees of one shape, to compare with."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from structnet.plugins.text.figures import figures
from structnet.plugins.tree.parsing import evalb
from structnet.plugins.tree.parsing.constituents import Phrases
from structnet.plugins.tree.parsing.evalb import Bracket

# The first and the one after the last word of the brackets below the root, of n words.
SHAPES: dict[str, Callable[[int], list[tuple[int, int]]]] = {
    "right-branching": lambda n: [(first, n) for first in range(1, n - 1)],
    "left-branching": lambda n: [(0, stop) for stop in range(2, n)],
}


def branching(train: Iterable[Phrases], test: Sequence[Phrases]) -> dict[str, dict[str, float]]:
    """Figures of binary trees that branch to one side over all words but punctuation.

    The root and other nodes have the labels that are most frequent in training, and words none.
    """
    roots: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for one in train:
        for bracket in one.brackets():
            is_root = bracket.stop - bracket.first == len(one.tags)
            (roots if is_root else others)[bracket.label] += 1
    root, other = (max(some, key=lambda label: some[label], default="") for some in (roots, others))
    found = {}
    for name, shape in SHAPES.items():
        counts = np.zeros((2, 3))
        for one in test:
            there = evalb.counted(one.brackets(), one.tags)
            n = sum(tag not in evalb.PUNCTUATION for tag in one.tags)
            said = Counter([Bracket(root, 0, n)] * (n > 0))
            said.update(Bracket(other, *span) for span in shape(n))
            counts += evalb.compared(said, there)
        labelled, unlabelled = (figures(*row.tolist()) for row in counts)
        found[name] = labelled | {f"unlabelled {key}": v for key, v in unlabelled.items()}
    return found
