"""Pairs of propositional formulas with the relation between them, read without recursion.

Bowman et al. (2015), "Tree-structured composition in neural networks without tree-structured
architectures": `( not a )`, `( a ( and b ) )`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from structnet.plugins.files.lines import read_lines
from structnet.plugins.tree.binary import Binary, mistake, read_binary, shown, tokens_of

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
        relation, first, second = parts
        place = f"{path}, line {line.line}"
        begin = len(relation) + 2
        one = parse(first, place, begin)
        other = parse(second, place, begin + len(first) + 1)
        yield FormulaPair(path, line.line, line.text.replace("\t", " "), relation, one, other)


def parse(text: str, place: str, column: int = 1) -> Formula:
    """A formula; ValueError names place and column of a mistake.

    `column` is that of the text's first character.
    """
    tree = read_binary(tokens_of(text, column), place)
    kinds: list[str] = []
    children = tree.children.tolist()
    for word, (left, right), at in zip(tree.words, children, tree.columns, strict=True):
        if word:
            kinds.append("not" if word == NOT else "between" if word in BETWEEN else "formula")
            continue
        below = kinds[left], kinds[right]
        if below == ("between", "formula"):
            kinds.append("operand")
        elif below in (("not", "formula"), ("formula", "operand")):
            kinds.append("formula")
        else:
            what = "the brackets closed here hold no formula: ( not a ) or ( a ( and b ) )"
            raise mistake(place, at, what)
    if kinds[-1] != "formula":
        at = tree.columns[-1]
        raise mistake(place, at, f"{shown(text.strip())} is a part of a formula, expected a whole")
    return Formula(text.strip(), tree, sum(word in OPERATORS for word in tree.words))


def tokens(formula: Formula) -> Sequence[str]:
    """The words and the brackets of a formula, which reads differently without them."""
    return [token.text for token in tokens_of(formula.text)]
