"""Python expressions as trees of words, each in the order written and with its operands exchanged.

The data of DeepBugs (Pradel and Sen 2018): binary operations, comparisons and calls with two
positional arguments, without the operators whose operands may stand either way. A file is flattened
once, in pre-order. An expression is a slice of it, and exchanging the operands exchanges two slices
within, so that both orders have the same nodes.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from structnet.plugins.code.sources import (
    Place,
    excerpt,
    parse,
    place_of,
)
from structnet.plugins.code.syntax import Source, flatten

# The most nodes of an operand, of a called function, and of all arguments after the second.
BLOCK_LIMIT = 100

_CUT = ("<...>",)
# Operators that give the same either way, of numbers: an exchange is a matter of style.
_EITHER_WAY = (
    ast.Add, ast.Mult, ast.BitAnd, ast.BitOr, ast.BitXor, ast.Eq, ast.NotEq, ast.Is, ast.IsNot,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Nodes:
    """An expression's nodes in pre-order.

    `words` has the words of every node and its context, `parent` its parent, -1 at the root, node
    0. `reading` lists the nodes in source order, infix operators between their operands.
    """

    words: list[tuple[str, ...]]
    parent: np.ndarray
    reading: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """An operation, a comparison or a call; `kind` is "operation", "comparison" or "call"."""

    kind: str
    path: Path
    place: Place = field(repr=False)
    _file: Source = field(repr=False)
    _root: int = field(repr=False)

    @property
    def line(self) -> int:
        return self.place.line

    @property
    def end_line(self) -> int:
        return self.place.end_line

    @property
    def text(self) -> str:
        """The source on one line; the file is read again."""
        return excerpt(self.path, self.place)

    def nodes(self, swapped: bool) -> Nodes:
        """The tree, with the two operands exchanged if `swapped`."""
        root, file = self._root, self._file
        _, left, right, rest, end = (bound - root for bound in self._bounds())
        first = file.first_read[root]
        order = np.arange(end)
        reading = file.reading[first : first + end] - root
        if swapped:
            order = _exchange(order, left, right, right, rest)
            a, b = (file.first_read[root + operand] - first for operand in (left, right))
            reading = _exchange(reading, a, a + right - left, b, b + rest - right)
        both = zip(file.words[root : root + end], file.context[root : root + end], strict=True)
        words = [(*own, *context) for own, context in both]
        if end > BLOCK_LIMIT:
            kept = self._cut(words)
            order, reading = order[kept[order]], reading[kept[reading]]
        number = np.zeros(end, dtype=np.int64)
        number[order] = np.arange(len(order))
        parent = file.parent[root : root + end] - root
        parent[0] = 0
        parent = number[parent[order]]
        parent[0] = -1
        return Nodes([words[node] for node in order.tolist()], parent, number[reading])

    def operands(self, swapped: bool) -> tuple[list[str], list[str], list[str]]:
        """The words of the left operand, of the right one, and of the operator or the function."""
        head, left, right, rest, end = self._bounds()
        operator = [*self._file.words[self._root], *self._words(head, left)]
        if self.kind == "call":
            operator.append(f"<arguments:{self._arguments(left, end)}>")
        first, second = self._words(left, right), self._words(right, rest)
        return (second, first, operator) if swapped else (first, second, operator)

    def _arguments(self, node: int, end: int) -> int:
        count = 0
        while node < end:
            node, count = node + self._file.size[node], count + 1
        return count

    def _bounds(self) -> tuple[int, int, int, int, int]:
        """The starts of function, left operand, right operand and the rest, and the end."""
        size, head = self._file.size, self._root + 1
        left = head + size[head] if self.kind == "call" else head
        right = left + size[left]
        return head, left, right, right + size[right], self._root + size[self._root]

    def _words(self, start: int, end: int) -> list[str]:
        end = min(end, start + BLOCK_LIMIT)
        return [word for words in self._file.words[start:end] for word in words]

    def _cut(self, words: list[tuple[str, ...]]) -> np.ndarray:
        """Which nodes are kept; the first one beyond a block's limit becomes `<...>` in `words`."""
        kept = np.ones(len(words), dtype=bool)
        bounds = [bound - self._root for bound in self._bounds()]
        for start, end in pairwise(bounds):
            if end - start > BLOCK_LIMIT:
                words[start + BLOCK_LIMIT] = _CUT
                kept[start + BLOCK_LIMIT + 1 : end] = False
        return kept


def expressions(path: Path) -> Iterator[Expression]:
    """A file's expressions in pre-order, except those with two identical operands.

    SyntaxError where the file can't be parsed.
    """
    return (expression for expression, _ in expressions_of(path, parse(path)))


def expressions_of(path: Path, module: ast.Module) -> Iterator[tuple[Expression, ast.expr]]:
    """The same of a file's syntax tree, each with its node."""
    file, found = flatten(module, _kind)
    for root, kind, node in found:
        expression = Expression(kind, path, place_of(node), file, root)
        _, left, right, rest, _ = expression._bounds()
        if not (
            file.size[left:right] == file.size[right:rest]
            and file.words[left:right] == file.words[right:rest]
            and _are_identical(*_operands(node))
        ):
            yield expression, node


def _exchange(items: np.ndarray, a: int, a_end: int, b: int, b_end: int) -> np.ndarray:
    parts = items[:a], items[b:b_end], items[a_end:b], items[a:a_end], items[b_end:]
    return np.concatenate(parts)


def _kind(node: ast.AST) -> str | None:
    if isinstance(node, ast.BinOp):
        return None if isinstance(node.op, _EITHER_WAY) else "operation"
    if isinstance(node, ast.Compare):
        chained = len(node.ops) > 1
        return None if chained or isinstance(node.ops[0], _EITHER_WAY) else "comparison"
    if isinstance(node, ast.Call) and len(node.args) > 1:
        starred = any(isinstance(argument, ast.Starred) for argument in node.args[:2])
        return None if starred else "call"
    return None


def _operands(node: ast.AST) -> tuple[ast.AST, ast.AST]:
    if isinstance(node, ast.BinOp):
        return node.left, node.right
    if isinstance(node, ast.Compare):
        return node.left, node.comparators[0]
    assert isinstance(node, ast.Call)
    return node.args[0], node.args[1]


def _are_identical(left: ast.AST, right: ast.AST) -> bool:
    """Whether two trees of the same shape have the same names and constants."""

    def leaves(tree):
        for node in ast.walk(tree):
            values = [value for _, value in ast.iter_fields(node)]
            yield type(node), [(type(v), v) for v in values if not isinstance(v, ast.AST | list)]

    return all(a == b for a, b in zip(leaves(left), leaves(right), strict=True))
