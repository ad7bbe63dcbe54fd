"""Heads of constituents, by the rules of Collins.

Collins (1999), "Head-driven statistical models for natural language parsing", appendix A; the rules
for noun phrases and for coordination are those of its text.
"""

from collections.abc import Sequence
from typing import Literal

Side = Literal["left", "right"]
# Of every label, the side from which children are searched, and labels by falling priority; the
# first child from that side where none is found.
RULES: dict[str, tuple[Side, str]] = {
    "ADJP": ("left", "NNS QP NN $ ADVP JJ VBN VBG ADJP JJR NP JJS DT FW RBR RBS SBAR RB"),
    "ADVP": ("right", "RB RBR RBS FW ADVP TO CD JJR JJ IN NP JJS NN"),
    "CONJP": ("right", "CC RB IN"),
    "FRAG": ("right", ""),
    "INTJ": ("left", ""),
    "LST": ("right", "LS :"),
    "NAC": ("left", "NN NNS NNP NNPS NP NAC EX $ CD QP PRP VBG JJ JJS JJR ADJP FW"),
    "PP": ("right", "IN TO VBG VBN RP FW"),
    "PRN": ("left", ""),
    "PRT": ("right", "RP"),
    "QP": ("left", "$ IN NNS NN JJ RB DT CD NCD QP JJR JJS"),
    "RRC": ("right", "VP NP ADVP ADJP PP"),
    "S": ("left", "TO IN VP S SBAR ADJP UCP NP"),
    "SBAR": ("left", "WHNP WHPP WHADVP WHADJP IN DT S SQ SINV SBAR FRAG"),
    "SBARQ": ("left", "SQ S SINV SBARQ FRAG"),
    "SINV": ("left", "VBZ VBD VBP VB MD VP S SINV ADJP NP"),
    "SQ": ("left", "VBZ VBD VBP VB MD VP SQ"),
    "UCP": ("right", ""),
    "VP": ("left", "TO VBD VBN MD VBZ VB VBG VBP VP ADJP NN NNS NP"),
    "WHADJP": ("left", "CC WRB JJ ADJP"),
    "WHADVP": ("right", "CC WRB"),
    "WHNP": ("left", "WDT WP WP$ WHADJP WHPP WHNP"),
    "WHPP": ("right", "IN TO FW"),
}
# Of noun phrases: where is searched, and for which of these at once.
NOUN_PHRASE: tuple[tuple[Side, str], ...] = (
    ("right", "NN NNP NNPS NNS NX POS JJR"),
    ("left", "NP"),
    ("right", "$ ADJP PRN"),
    ("right", "CD"),
    ("right", "JJ JJS RB QP"),
)


def head_child(label: str, children: Sequence[str]) -> int:
    """Which child is the head, by the node's label and its children's, without functional tags.

    The first child for a label that the rules don't have.
    """
    head = _noun_head(children) if label in ("NP", "NX") else _head(label, children)
    # Of a coordination it is the conjunct before the conjunction.
    return head - 2 if head >= 2 and children[head - 1] == "CC" else head


def _head(label: str, children: Sequence[str]) -> int:
    side, wanted = RULES.get(label, ("left", ""))
    for one in wanted.split():
        if (found := _search(children, side, {one})) is not None:
            return found
    return 0 if side == "left" else len(children) - 1


def _noun_head(children: Sequence[str]) -> int:
    if children[-1] == "POS":
        return len(children) - 1
    for side, wanted in NOUN_PHRASE:
        if (found := _search(children, side, set(wanted.split()))) is not None:
            return found
    return len(children) - 1


def _search(children: Sequence[str], side: Side, wanted: set[str]) -> int | None:
    at = range(len(children))
    return next((i for i in (at if side == "left" else at[::-1]) if children[i] in wanted), None)
