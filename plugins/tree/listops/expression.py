"""Expressions of ListOps: `[MAX 2 9 [MIN 4 7 ] 0 ]`, with round brackets around pairs or without.

Nangia and Bowman (2018), section 2. Nothing recurses.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from structnet.plugins.files.lines import read_lines
from structnet.plugins.tree.binary import Binary, Token, mistake, read_binary, shown, tokens_of

DIGITS = tuple("0123456789")
OPERATORS: dict[str, Callable[[list[int]], int]] = {
    "[MAX": max,
    "[MIN": min,
    # The mean of the two middle ones, rounded down.
    "[MED": lambda values: _median(sorted(values)),
    "[SM": lambda values: sum(values) % 10,
    "[FIRST": lambda values: values[0],
    "[LAST": lambda values: values[-1],
}
END = "]"


@dataclass(frozen=True)
class Expression:
    """An expression, where it was read, and its value.

    `tree` is that of the round brackets, `text` the expression without them; `depth` is the number
    of operators around the innermost one and itself, 0 for a digit.
    """

    path: Path
    line: int
    text: str
    value: int
    depth: int
    tree: Binary


def _median(values: list[int]) -> int:
    return (values[(len(values) - 1) // 2] + values[len(values) // 2]) // 2


def read_expressions(path: Path) -> Iterator[Expression]:
    """The expressions of a file with a value, a tab and an expression per line.

    Blank lines are skipped. ValueError names file, line and column of what is not an expression, or
    has another value than the file says; other errors are those of `sn.read_text`.
    """
    for line in read_lines(path):
        if not line.text.strip():
            continue
        value, tab, text = line.text.partition("\t")
        if not tab or value not in DIGITS:
            raise line.refuse(line.text, "a value from 0 to 9, a tab and an expression")
        one = parse(text, path, line.line, column=len(value) + 2)
        if one.value != int(value):
            raise line.refuse(value, f"the value of the expression, {one.value}")
        yield one


def parse(text: str, path: Path, line: int, column: int = 1) -> Expression:
    """An expression; without any round brackets, the tree is that of ListOps.

    That is `( ( ( [MAX 2 ) 9 ) ] )` for `[MAX 2 9 ]`. ValueError names file, line and column of a
    mistake; `column` is that of the text's first character.
    """
    place = f"{path}, line {line}"
    tokens = tokens_of(text, column)
    plain = [token for token in tokens if token.text not in "()"]
    if not plain:
        raise ValueError(f"{place}: {shown(text)} is empty, expected an expression: [MAX 2 9 ]")
    value, depth = _evaluate(plain, place)
    tree = read_binary(tokens if len(tokens) > len(plain) else _with_brackets(plain), place)
    return Expression(path, line, " ".join(one.text for one in plain), value, depth, tree)


def _evaluate(tokens: Sequence[Token], place: str) -> tuple[int, int]:
    """The value of an expression and its depth."""
    opened: list[tuple[Token, list[int]]] = []
    values: list[int] = []
    depth = 0
    for token in tokens:
        if not opened and values:
            raise mistake(place, token.column, f"{shown(token.text)} after the expression's end")
        if token.text in OPERATORS:
            opened.append((token, []))
            depth = max(depth, len(opened))
            continue
        if token.text in DIGITS:
            value = int(token.text)
        elif token.text != END:
            known = f"a digit, {END} or one of {', '.join(OPERATORS)}"
            raise mistake(place, token.column, f"{shown(token.text)}, expected {known}")
        elif not opened:
            raise mistake(place, token.column, f"{END!r} closes no operator")
        else:
            operator, arguments = opened.pop()
            if not arguments:
                raise mistake(place, token.column, f"{operator.text!r} has no arguments")
            value = OPERATORS[operator.text](arguments)
        (opened[-1][1] if opened else values).append(value)
    if opened:
        operator = opened[-1][0]
        raise mistake(place, operator.column, f"{operator.text!r} is not closed by {END!r}")
    return values[0], depth


def _with_brackets(tokens: Sequence[Token]) -> list[Token]:
    """The tokens with round brackets: an operator and its arguments from left to right.

    As many brackets open before an operator as close before its end.
    """
    counts = [0] * len(tokens)
    opened: list[int] = []
    for at, token in enumerate(tokens):
        if token.text in OPERATORS:
            opened.append(at)
            continue
        if token.text == END:
            counts[opened.pop()] += 1
        if opened:
            counts[opened[-1]] += 1
    return list(_placed(tokens, counts))


def _placed(tokens: Sequence[Token], counts: Sequence[int]) -> Iterator[Token]:
    inside = 0
    for token, count in zip(tokens, counts, strict=True):
        yield from [Token("(", token.column)] * count
        yield token
        if token.text in OPERATORS:
            inside += 1
            continue
        if token.text == END:
            inside -= 1
            yield Token(")", token.column)
        # That of the operator whose argument ends here.
        if inside:
            yield Token(")", token.column)
