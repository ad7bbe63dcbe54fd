"""Expressions of ListOps: `[MAX 2 9 [MIN 4 7 ] 0 ]`, with round brackets around pairs or without.

Nangia and Bowman (2018), section 2. Nothing recurses.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from structnet.plugins.files.lines import Line, read_lines, shown
from structnet.plugins.tree.binary import Binary, read_binary
from structnet.plugins.treebanks.brackets import TOKEN, Place, mistake

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
        value, tab, _ = line.text.partition("\t")
        if not tab or value not in DIGITS:
            raise line.refuse(line.text, "a value from 0 to 9, a tab and an expression")
        one = parse(line, start=len(value) + len(tab))
        if one.value != int(value):
            raise line.refuse(value, f"the value of the expression, {one.value}")
        yield one


def parse(line: Place, start: int = 0) -> Expression:
    """The expression of a line, from `start` on.

    Without any round brackets, the tree is that of ListOps: `( ( ( [MAX 2 ) 9 ) ] )` for
    `[MAX 2 9 ]`. ValueError names file, line and column of a mistake.
    """
    tokens = list(TOKEN.finditer(line.text, start))
    plain = [token for token in tokens if token.group() not in "()"]
    words = [token.group() for token in plain]
    if not plain:
        raise mistake(line, start, f"{shown(line.text[start:])} is empty, expected [MAX 2 9 ]")
    value, depth = _evaluate(plain, line)
    if len(plain) == len(tokens):
        tree = read_binary(Line(line.path, line.line, _with_brackets(words)))
    else:
        tree = read_binary(line, start)
    return Expression(line.path, line.line, " ".join(words), value, depth, tree)


def _evaluate(tokens: Sequence[re.Match[str]], line: Place) -> tuple[int, int]:
    """The value of an expression and its depth."""
    opened: list[tuple[re.Match[str], list[int]]] = []
    values: list[int] = []
    depth = 0
    for token in tokens:
        text, at = token.group(), token.start()
        if not opened and values:
            raise mistake(line, at, f"{shown(text)} after the expression's end")
        if text in OPERATORS:
            opened.append((token, []))
            depth = max(depth, len(opened))
            continue
        if text in DIGITS:
            value = int(text)
        elif text != END:
            known = f"a digit, {END} or one of {', '.join(OPERATORS)}"
            raise mistake(line, at, f"{shown(text)}, expected {known}")
        elif not opened:
            raise mistake(line, at, f"{END!r} closes no operator")
        else:
            operator, arguments = opened.pop()
            if not arguments:
                raise mistake(line, at, f"{operator.group()!r} has no arguments")
            value = OPERATORS[operator.group()](arguments)
        (opened[-1][1] if opened else values).append(value)
    if opened:
        operator = opened[-1][0]
        raise mistake(line, operator.start(), f"{operator.group()!r} is not closed by {END!r}")
    return values[0], depth


def _with_brackets(words: Sequence[str]) -> str:
    """The words with round brackets: an operator and its arguments from left to right.

    As many brackets open before an operator as close before its end.
    """
    counts = [0] * len(words)
    opened: list[int] = []
    for at, word in enumerate(words):
        if word in OPERATORS:
            opened.append(at)
            continue
        if word == END:
            counts[opened.pop()] += 1
        if opened:
            counts[opened[-1]] += 1
    return " ".join(_placed(words, counts))


def _placed(words: Sequence[str], counts: Sequence[int]) -> Iterator[str]:
    inside = 0
    for word, count in zip(words, counts, strict=True):
        yield from "(" * count
        yield word
        if word in OPERATORS:
            inside += 1
            continue
        if word == END:
            inside -= 1
            yield ")"
        # That of the operator whose argument ends here.
        if inside:
            yield ")"
