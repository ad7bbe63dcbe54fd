"""Python syntax trees as flat lists of nodes, each a tuple of words."""

import ast
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from structnet.plugins.code.context import (
    FUNCTIONS,
    context_words,
    introduced,
    named_arguments,
)

STRING_WORDS = 12
# An integer up to this size is a word of its own; larger ones share a word per number of bits.
SMALL_INTEGER = 256

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
_PLACEHOLDER = re.compile(r"%[-#0 +*.\d]*[diouxXeEfFgGcrsa]|%\(|\{\w*[^{}]*\}")
# In the source these come after their first child: `left + right`, `value.attr`, `func(args)`.
_INFIX = (ast.BinOp, ast.BoolOp, ast.Compare, ast.Attribute, ast.Call, ast.Subscript, ast.IfExp,
          ast.NamedExpr)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """A file's nodes in pre-order.

    `words` and `context` are the words of every node and of its context, `size` the number of nodes
    of its subtree, `parent` its parent. `reading` lists the nodes in source order; the subtree of
    node v starts there at `first_read[v]`.
    """

    words: list[tuple[str, ...]]
    context: list[tuple[str, ...]]
    size: list[int]
    first_read: list[int]
    parent: np.ndarray
    reading: np.ndarray


def flatten(
    module: ast.Module, kind_of: Callable[[ast.AST], str | None]
) -> tuple[Source, list[tuple[int, str, ast.expr]]]:
    """The nodes of a file, and (number, kind, node) of each infix node that `kind_of` names."""
    words, context, parent, first_read, infix, found = [], [], [], [], [], []
    places = named_arguments(module)
    # Each entry: a node, its parent, its function's names, and how many of the node and its
    # ancestors are first children of infix nodes: so much earlier its subtree is in source order.
    stack = [(module, -1, {}, 0)]
    while stack:
        node, above, local, earlier = stack.pop()
        if isinstance(node, FUNCTIONS):
            local = introduced(node)
        here = len(words)
        words.append(node_words(node))
        context.append(context_words(node, here, above, words, local, places.get(node)))
        parent.append(above)
        first_read.append(here - earlier)
        if not (below := _children(node)):
            continue
        stack += [(child, here, local, earlier) for child in below[:0:-1]]
        if isinstance(node, _INFIX):
            infix.append(here)
            stack.append((below[0], here, local, earlier + 1))
            if kind := kind_of(node):
                found.append((here, kind, node))
        else:
            stack.append((below[0], here, local, earlier))
    size = [1] * len(words)
    for node in range(len(words) - 1, 0, -1):
        size[parent[node]] += size[node]
    reading = np.empty(len(words), dtype=np.int64)
    read_at = np.array(first_read)
    # In source order an infix node follows its first child's subtree.
    read_at[infix] += np.array(size)[np.array(infix, dtype=np.int64) + 1]
    reading[read_at] = np.arange(len(words))
    return Source(words, context, size, first_read, np.array(parent), reading), found


def _children(node: ast.AST) -> list[ast.AST]:
    """The child nodes in source order; operators, contexts and signs are not nodes."""
    below = []
    for name in _fields(type(node)):
        value = getattr(node, name)
        if type(value) is list:
            below += value
        else:
            below.append(value)
    if isinstance(node, ast.Dict):
        below = [part for item in zip(node.keys, node.values, strict=True) for part in item]
    elif _negative(node) is not None:
        return []
    return [child for child in below if isinstance(child, ast.AST)]


@cache
def _fields(kind: type) -> tuple[str, ...]:
    names = ("body", "test", "orelse") if kind is ast.IfExp else kind._fields
    words = {"id", "attr", "arg", "ctx", "op", "ops", "kind", "type_comment"}
    return () if kind is ast.Constant else tuple(name for name in names if name not in words)


def node_words(node: ast.AST) -> tuple[str, ...]:
    """The word for a node's kind, followed by those of its name or value."""
    if isinstance(node, ast.Name):
        return _named("<Name>", node.id)
    if isinstance(node, ast.Constant):
        return _constant(node.value)
    if isinstance(node, ast.Attribute):
        return _named("<Attribute>", node.attr)
    if isinstance(node, (ast.keyword, ast.arg)):
        return _named(f"<{type(node).__name__}>", node.arg or "**")
    if (number := _negative(node)) is not None:
        return _constant(number)
    return _plain(type(node), *_detail(node))


def _detail(node: ast.AST) -> tuple[str, ...]:
    """Operators, and the bounds that a slice has, which are part of the kind's word."""
    if isinstance(node, (ast.BinOp, ast.UnaryOp, ast.BoolOp)):
        return (type(node.op).__name__,)
    if isinstance(node, ast.Compare):
        return tuple(type(operator).__name__ for operator in node.ops)
    if isinstance(node, ast.Slice):
        return tuple(name for name in ast.Slice._fields if getattr(node, name))
    return ()


@lru_cache(1 << 12)
def _plain(kind: type, *detail: str) -> tuple[str]:
    return (f"<{':'.join((kind.__name__, *detail))}>",)


def _negative(node: ast.AST) -> int | float | None:
    """The value of a negative number, which is a unary operation in the syntax tree."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = getattr(node.operand, "value", None)
        if isinstance(number, (int, float)) and not isinstance(number, bool):
            return -number
    return None


@lru_cache(1 << 16)
def _named(kind: str, name: str) -> tuple[str, ...]:
    style = ("<CONSTANT>",) if name.isupper() else ("<Class>",) if name[0].isupper() else ()
    return (kind, *style, *(_split(name) or [name]))


@lru_cache(1 << 16, typed=True)
def _constant(value: object) -> tuple[str, ...]:
    kind = f"<{type(value).__name__}>"
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, str):
        start = value[: 16 * STRING_WORDS]
        marks = {"<%s>" if mark[0] == "%" else "<{}>" for mark in _PLACEHOLDER.findall(start)}
        words = _split(_PLACEHOLDER.sub(" ", start))[:STRING_WORDS]
        return (kind, *sorted(marks), *(words or [repr(start[:4])]))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (kind, _number(value))
    return (kind, repr(value))


def _number(value: int | float) -> str:
    if abs(value) <= SMALL_INTEGER and value == int(value):
        return str(int(value))
    # len(str(value)) would fail on an integer of more than 4300 digits.
    bits = value.bit_length() if isinstance(value, int) else math.frexp(value)[1]
    return f"<{'-' * (value < 0)}2^{bits}>"


def _split(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]
