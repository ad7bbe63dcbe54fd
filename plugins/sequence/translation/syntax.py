"""Expressions of Python code: their text, and their syntax trees with sub-words as leaves."""

import ast
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from structnet.plugins.code.sources import Place, parse, place_of, segment

# Longer texts are not read: they hold long strings or numbers.
MOST_CHARACTERS = 200
# What closes a node in a sequence.
CLOSE = "<end>"
Split = Callable[[str], list[str]]
SIGNS = (ast.operator, ast.unaryop, ast.boolop, ast.cmpop)


@dataclass(frozen=True, eq=False)
class Code:
    """An expression in a file; it is the origin of its sample."""

    path: Any
    place: Place
    text: str
    node: ast.expr

    @property
    def line(self) -> int:
        return self.place.line


def find_expressions(path: Path) -> Iterator[Code]:
    """The expressions of a file that are not part of another one, each on one line.

    Constants, and names with or without dots, are left out. SyntaxError where the file can't be
    parsed.
    """
    stack: list[ast.AST] = [parse(path)]
    while stack:
        node = stack.pop()
        below = list(ast.iter_child_nodes(node))
        if not isinstance(node, ast.expr):
            stack += below[::-1]
            continue
        if isinstance(getattr(node, "ctx", ast.Load()), ast.Load) and not _is_plain(node):
            place = place_of(node)
            text = segment(path, place)
            if text is not None and len(text) <= MOST_CHARACTERS:
                yield Code(path, place, text, node)


def _is_plain(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name | ast.Constant)


def parse_expression(text: str) -> ast.expr:
    """The tree of an expression; ValueError for another text."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        said = error.msg if isinstance(error, SyntaxError) else error
        raise ValueError(
            f"not an expression in Python ({said}): {text[:MOST_CHARACTERS]!r}"
        ) from error


def parsed_text(node: ast.expr) -> str:
    """The text that Python itself writes for a tree."""
    return ast.unparse(node)


@dataclass(frozen=True, eq=False)
class Tree:
    """The nodes of an expression in pre-order: kinds of syntax, and sub-words of what they name.

    Arguments:
        words: of every node.
        parent: of every node, -1 for the root.
    """

    words: Sequence[str]
    parent: NDArray[np.int64]

    @cached_property
    def sequence(self) -> list[str]:
        """The words with CLOSE after the last child of every node that has children."""
        ends = np.arange(1, len(self.words) + 1)
        for node in range(len(ends) - 1, 0, -1):
            above = self.parent[node]
            ends[above] = max(ends[above], ends[node])
        found, open_ends = [], []
        for node, word in enumerate(self.words):
            while open_ends and open_ends[-1] == node:
                open_ends.pop()
                found.append(CLOSE)
            found.append(word)
            if ends[node] > node + 1:
                open_ends.append(ends[node])
        return [*found, *[CLOSE] * len(open_ends)]


def tree_of(root: ast.expr, split: Split) -> Tree:
    """The tree of an expression; a node's names and values are leaves below it.

    Arguments:
        root: the expression.
        split: gives the sub-words of a text.
    """
    words: list[str] = []
    parent: list[int] = []
    stack: list[tuple[ast.AST | str, int]] = [(root, -1)]
    while stack:
        node, above = stack.pop()
        here = len(words)
        parent.append(above)
        if isinstance(node, str):
            words.append(node)
            continue
        words.append(_label(node))
        stack += [(child, here) for child in reversed(list(_children(node, split)))]
    return Tree(words, np.array(parent, np.int64))


def _label(node: ast.AST) -> str:
    """A word for the kind of a node, with its operators, and which optional parts it has."""
    said = [type(node).__name__]
    if isinstance(node, ast.Constant):
        said.append(type(node.value).__name__)
    for name, value in ast.iter_fields(node):
        values = value if isinstance(value, list) else [value]
        if isinstance(node, ast.arguments):
            # The parameters of a lambda: their kinds can't be told from their order.
            count = len(value) if isinstance(value, list) else int(value is not None)
            said.append(str(count))
        elif isinstance(node, ast.Slice | ast.FormattedValue) and value is not None:
            said.append(f"{name}={value}" if type(value) is int else name)
        elif name == "is_async" and value:
            said.append(name)
        else:
            said += [type(one).__name__ for one in values if isinstance(one, SIGNS)]
    return f"<{':'.join(said)}>"


def _children(node: ast.AST, split: Split) -> Iterator[ast.AST | str]:
    if isinstance(node, ast.Constant):
        yield from _pieces(node.value, split)
        return
    for name, value in ast.iter_fields(node):
        if isinstance(value, str) and name != "type_comment":
            yield from split(value)
            continue
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, ast.AST) and not isinstance(one, (*SIGNS, ast.expr_context)):
                yield one
            elif one is None and isinstance(value, list):
                # In place of a key before ** in a dictionary, or of a default.
                yield "<none>"


def _pieces(value: object, split: Split) -> list[str]:
    """The sub-words of a constant; none of those that the kind of node tells."""
    if value is None or value is Ellipsis:
        return []
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    text = value if isinstance(value, str) else repr(value)
    # A string may have halves of surrogate pairs, which are no text.
    return split(text.encode(errors="replace").decode())
