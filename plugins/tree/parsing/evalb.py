"""Brackets as evalb counts them, with the rules of COLLINS.prm.

Collins (1997) evaluated by these rules. Every node with a label above the words is a bracket: its
label, its first word and the one after its last, so that a tree may have a bracket several times.
The label of a word, its part of speech, is not one. Left out are words of punctuation, labelled by
one of , : `` '' . and the brackets that have no other word, and brackets labelled TOP. ADVP and
PRT are the same label. Traces are taken out before. Unlabelled brackets are the same without their
labels. A bracket is right as often as the given tree has it; figures are over all sentences.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from structnet.plugins.treebanks.brackets import TOP

PUNCTUATION = (",", ":", "``", "''", ".")
SAME = {"PRT": "ADVP"}


class Bracket(NamedTuple):
    """A label, the first word below it, and the one after the last."""

    label: str
    first: int
    stop: int


def counting(brackets: Iterable[Bracket], tags: Sequence[str]) -> list[Bracket | None]:
    """Each bracket by its places among the words that count; None for one that does not count.

    Arguments:
        brackets: those of nodes that are not words.
        tags: the parts of speech of the words in the given tree.
    """
    place = np.cumsum([0, *(tag not in PUNCTUATION for tag in tags)]).tolist()
    return [
        Bracket(SAME.get(label, label), place[first], place[stop])
        if label != TOP and place[stop] > place[first]
        else None
        for label, first, stop in brackets
    ]


def counted(brackets: Iterable[Bracket], tags: Sequence[str]) -> Counter[Bracket]:
    """The brackets of a sentence that count, as `counting` has them."""
    return Counter(one for one in counting(brackets, tags) if one)


def compared(said: Counter[Bracket], there: Counter[Bracket]) -> list[list[int]]:
    """How many brackets are right, predicted and there: with their labels, and without."""
    found = []
    for some in ((said, there), (_unlabelled(said), _unlabelled(there))):
        found.append([(some[0] & some[1]).total(), some[0].total(), some[1].total()])
    return found


def _unlabelled(brackets: Counter[Bracket]) -> Counter[Bracket]:
    found: Counter[Bracket] = Counter()
    for bracket, times in brackets.items():
        found[bracket._replace(label="")] += times
    return found
