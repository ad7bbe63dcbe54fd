"""Pairs of propositional formulas with the relation between them, read without recursion.

Bowman et al. (2015), "Tree-structured composition in neural networks without tree-structured
architectures": `( not a )`, `( a ( and b ) )`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from structnet.plugins.files.lines import read_lines, shown
from structnet.plugins.tree.binary import Binary, read_binary
from structnet.plugins.treebanks.brackets import TOKEN, Place, mistake

# The seven relations of natural logic (MacCartney and Manning 2009), as the files write them.
RELATIONS = {
    "=": "equivalent",
    "<": "entails",
    ">": "is entailed by",
    "^": "negates",
    "|": "excludes",
    "v": "covers",
    "#": "is independent of",
}
NOT = "not"
BETWEEN = ("and", "or")
OPERATORS = (NOT, *BETWEEN)


@dataclass(frozen=True)
class Formula:
    """A formula: its text, its tree and the number of its operators."""

    text: str
    tree: Binary
    operators: int


@dataclass(frozen=True)
class FormulaPair:
    """Two formulas, where they were read, and the relation of the first to the second or None."""

    path: Path
    line: int
    text: str
    relation: str | None
    first: Formula
    second: Formula

    @property
    def operators(self) -> int:
        """Those of the longer side."""
        return max(self.first.operators, self.second.operators)


def read_pairs(path: Path) -> Iterator[FormulaPair]:
    """The pairs of a file with a relation and two formulas per line, tabs between them.

    Blank lines are skipped. ValueError names file, line and column of a mistake; other errors are
    those of `sn.read_text`.
    """
    for line in read_lines(path):
        if not line.text.strip():
            continue
        parts = line.text.split("\t")
        if len(parts) != 3 or parts[0] not in RELATIONS:
            relations = " ".join(RELATIONS)
            expected = f"a relation, one of {relations}, and two formulas, with tabs between them"
            raise line.refuse(line.text, expected)
        relation, first, _ = parts
        middle = len(relation) + 1 + len(first)
        one, other = parse(line, len(relation), middle), parse(line, middle)
        yield FormulaPair(path, line.line, line.text.replace("\t", " "), relation, one, other)


def parse(line: Place, start: int = 0, stop: int | None = None) -> Formula:
    """The formula of a line, or of the part from `start` to before `stop`.

    ValueError names file, line and column of a mistake.
    """
    tree = read_binary(line, start, stop)
    text = line.text[start:stop].strip()
    kinds: list[str] = []
    children = tree.children.tolist()
    for word, (left, right), at in zip(tree.words, children, tree.places, strict=True):
        if word:
            kinds.append("not" if word == NOT else "between" if word in BETWEEN else "formula")
            continue
        below = kinds[left], kinds[right]
        if below == ("between", "formula"):
            kinds.append("operand")
        elif below in (("not", "formula"), ("formula", "operand")):
            kinds.append("formula")
        else:
            what = "these brackets hold no formula, expected ( not a ) or ( a ( and b ) )"
            raise mistake(line, at, what)
    if kinds[-1] != "formula":
        at = tree.places[-1]
        raise mistake(line, at, f"{shown(text)} is a part of a formula, expected a whole")
    return Formula(text, tree, sum(word in OPERATORS for word in tree.words))


def tokens(formula: Formula) -> Sequence[str]:
    """The words and the brackets of a formula, which reads differently without them."""
    return TOKEN.findall(formula.text)
