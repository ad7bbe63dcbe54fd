"""Python expressions as trees of words, each in the order written and with its operands exchanged.

The data of DeepBugs (Pradel and Sen 2018): binary operations, comparisons and calls with two
positional arguments. A file is flattened once, in pre-order; an expression is a slice of it, and
exchanging the operands exchanges two sub-slices, so both orders hold exactly the same nodes.
"""

import ast
import math
import os
import re
import sysconfig
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

# Nodes kept of each operand, of a called function, and of the arguments after the second.
BLOCK_LIMIT = 100
STRING_WORDS = 12
# An integer up to this size is a word of its own, a larger one the word of its number of bits.
SMALL_INTEGER = 256

_CUT = ("<...>",)
_TESTS = {"test", "tests", "idle_test"}
_FOREIGN = {"site-packages", "__pycache__", "venv", "node_modules"}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
_PLACEHOLDER = re.compile(r"%[-#0 +*.\d]*[diouxXeEfFgGcrsa]|%\(|\{\w*[^{}]*\}")
# These are read after their first child, as in `left + right`, `value.attr` and `func(args)`.
_INFIX = {ast.BinOp, ast.BoolOp, ast.Compare, ast.Attribute, ast.Call, ast.Subscript, ast.IfExp,
          ast.NamedExpr}  # fmt: skip


def standard_library() -> Path:
    """The folder of this interpreter's standard library."""
    return Path(sysconfig.get_path("stdlib"))


def python_files(root: Path, *, tests: bool = False) -> list[Path]:
    """The Python files below `root`, sorted, or `root` itself where it is a file.

    Hidden folders, virtual environments and installed packages are passed over, and tests unless
    asked for. Raises FileNotFoundError for a missing path, ValueError where there is no file.
    """
    root = Path(root)
    if not root.exists():
        raise FileNotFoundError(f"no file or folder {str(root)!r}; give a Python file or a folder")
    if root.is_file():
        return [root]
    paths = []
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if _is_searched(Path(folder, name), tests)]
        paths += [Path(folder, name) for name in files if _is_source(name, tests)]
    if not paths:
        raise ValueError(
            f"no Python file below {str(root)!r}{'' if tests else ' (tests are left out)'}; "
            "give a folder with *.py files, or one file"
        )
    return sorted(paths)


def _is_searched(folder: Path, tests: bool) -> bool:
    name = folder.name
    if name.startswith(".") or name in _FOREIGN or (folder / "pyvenv.cfg").exists():
        return False
    return tests or name not in _TESTS


def _is_source(name: str, tests: bool) -> bool:
    return name.endswith(".py") and (tests or not name.startswith("test_"))


def parse(path: Path) -> ast.Module:
    """The module in a file; whatever keeps it from being parsed is raised as SyntaxError."""
    source = Path(path).read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source, str(path))
    except SyntaxError as error:
        raise SyntaxError(f"{path}, line {error.lineno}: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise SyntaxError(f"{path}: {error or type(error).__name__}") from error


@dataclass(frozen=True, slots=True)
class Nodes:
    """An expression's nodes in pre-order.

    `parent` is -1 at the root, node 0; `reading` lists the nodes as the source reads, infix
    operators between their operands.
    """

    words: list[tuple[str, ...]]
    parent: np.ndarray
    reading: np.ndarray


@dataclass(frozen=True, slots=True)
class _File:
    """A file's nodes in pre-order; the subtree of v is read from `first_read[v]` on."""

    words: list[tuple[str, ...]]
    size: list[int]
    first_read: list[int]
    parent: np.ndarray
    reading: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """An operation, a comparison or a call; `kind` is "operation", "comparison" or "call"."""

    kind: str
    path: Path
    line: int
    _end: tuple[int, int, int] = field(repr=False)
    _file: _File = field(repr=False)
    _root: int = field(repr=False)

    @property
    def text(self) -> str:
        """The source on one line, read from the file anew."""
        column, end_line, end_column = self._end
        lines = _source_lines(self.path)[self.line - 1 : end_line]
        lines[-1] = lines[-1][:end_column]
        lines[0] = lines[0][column:]
        return " ".join(b" ".join(lines).decode(errors="replace").split())

    def nodes(self, swapped: bool) -> Nodes:
        """The tree, with the two operands exchanged where `swapped`."""
        root, file = self._root, self._file
        _, left, right, rest, end = (bound - root for bound in self._bounds())
        first = file.first_read[root]
        order = np.arange(end)
        reading = file.reading[first : first + end] - root
        if swapped:
            order = _exchange(order, left, right, right, rest)
            a, b = (file.first_read[root + operand] - first for operand in (left, right))
            reading = _exchange(reading, a, a + right - left, b, b + rest - right)
        words = file.words[root : root + end]
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
        """Where function, left operand, right operand and the rest begin, and where it all ends."""
        size, head = self._file.size, self._root + 1
        left = head + size[head] if self.kind == "call" else head
        right = left + size[left]
        return head, left, right, right + size[right], self._root + size[self._root]

    def _words(self, start: int, end: int) -> list[str]:
        end = min(end, start + BLOCK_LIMIT)
        return [word for words in self._file.words[start:end] for word in words]

    def _cut(self, words: list[tuple[str, ...]]) -> np.ndarray:
        """Which nodes stay; each block's first node beyond the limit becomes `<...>` in `words`."""
        kept = np.ones(len(words), dtype=bool)
        bounds = [bound - self._root for bound in self._bounds()]
        for start, end in zip(bounds, bounds[1:], strict=False):
            if end - start > BLOCK_LIMIT:
                words[start + BLOCK_LIMIT] = _CUT
                kept[start + BLOCK_LIMIT + 1 : end] = False
        return kept


def expressions(path: Path) -> Iterator[Expression]:
    """A file's expressions in pre-order, those with two identical operands left out.

    Raises SyntaxError where the file can't be parsed.
    """
    file, found = _flatten(parse(path))
    for root, node in found:
        kind = _kind(node)
        end = (node.col_offset, node.end_lineno, node.end_col_offset)
        expression = Expression(kind, path, node.lineno, end, file, root)
        _, left, right, rest, _ = expression._bounds()
        if not (
            file.size[left:right] == file.size[right:rest]
            and file.words[left:right] == file.words[right:rest]
            and _are_identical(*_operands(node))
        ):
            yield expression


def left_child_right_sibling(parent: np.ndarray) -> np.ndarray:
    """(n, 2): every node's first child and its next sibling, -1 where absent."""
    table = np.full((len(parent), 2), -1, dtype=np.int64)
    order = np.argsort(parent, kind="stable")
    order = order[parent[order] >= 0]
    above = parent[order]
    is_next = above[1:] == above[:-1]
    table[order[:-1][is_next], 1] = order[1:][is_next]
    # Written backwards, the first child is written last and stays.
    table[above[::-1], 0] = order[::-1]
    return table


def children(parent: np.ndarray) -> np.ndarray:
    """(n, K): every node's children in order, -1 where absent; K is the most a node has."""
    order = np.argsort(parent, kind="stable")
    order = order[parent[order] >= 0]
    above = parent[order]
    slot = np.arange(len(order)) - np.searchsorted(above, above)
    table = np.full((len(parent), slot.max(initial=-1) + 1), -1, dtype=np.int64)
    table[above, slot] = order
    return table


def _exchange(items: np.ndarray, a: int, a_end: int, b: int, b_end: int) -> np.ndarray:
    parts = items[:a], items[b:b_end], items[a_end:b], items[a:a_end], items[b_end:]
    return np.concatenate(parts)


def _kind(node: ast.AST) -> str | None:
    kind = type(node)
    if kind is ast.BinOp:
        return "operation"
    if kind is ast.Compare:
        return "comparison" if len(node.ops) == 1 else None
    if kind is ast.Call and len(node.args) > 1:
        starred = any(isinstance(argument, ast.Starred) for argument in node.args[:2])
        return None if starred else "call"
    return None


def _operands(node: ast.AST) -> tuple[ast.AST, ast.AST]:
    if isinstance(node, ast.BinOp):
        return node.left, node.right
    if isinstance(node, ast.Compare):
        return node.left, node.comparators[0]
    return node.args[0], node.args[1]


def _are_identical(left: ast.AST, right: ast.AST) -> bool:
    """Whether two trees of one shape hold the same names and constants."""

    def leaves(tree):
        for node in ast.walk(tree):
            values = [value for _, value in ast.iter_fields(node)]
            yield type(node), [(type(v), v) for v in values if not isinstance(v, ast.AST | list)]

    return all(a == b for a, b in zip(leaves(left), leaves(right), strict=True))


def _flatten(module: ast.Module) -> tuple[_File, list[tuple[int, ast.AST]]]:
    """The file's nodes, and those of them that are expressions to keep."""
    words, parent, first_read, infix, found = [], [], [], [], []
    # Each entry: a node, its parent, and how many ancestors-or-self are first child of an infix
    # node, for so much earlier than in pre-order is its subtree read.
    stack = [(module, -1, 0)]
    while stack:
        node, above, earlier = stack.pop()
        here = len(words)
        words.append(_node_words(node))
        parent.append(above)
        first_read.append(here - earlier)
        if not (below := _children(node)):
            continue
        stack += [(child, here, earlier) for child in below[:0:-1]]
        if type(node) in _INFIX:
            infix.append(here)
            stack.append((below[0], here, earlier + 1))
            if _kind(node):
                found.append((here, node))
        else:
            stack.append((below[0], here, earlier))
    size = [1] * len(words)
    for node in range(len(words) - 1, 0, -1):
        size[parent[node]] += size[node]
    reading = np.empty(len(words), dtype=np.int64)
    read_at = np.array(first_read)
    # An infix node is read when its first child, the node after it, has been.
    read_at[infix] += np.array(size)[np.array(infix, dtype=np.int64) + 1]
    reading[read_at] = np.arange(len(words))
    return _File(words, size, first_read, np.array(parent), reading), found


def _children(node: ast.AST) -> list[ast.AST]:
    """The child nodes as the source orders them; operators, contexts and signs are no nodes."""
    kind, below = type(node), []
    for name in _fields(kind):
        value = getattr(node, name)
        if type(value) is list:
            below += value
        else:
            below.append(value)
    if kind is ast.Dict:
        below = [part for item in zip(node.keys, node.values, strict=True) for part in item]
    elif kind is ast.UnaryOp and _is_negative(node):
        return []
    return [child for child in below if isinstance(child, ast.AST)] if below else below


@cache
def _fields(kind: type) -> tuple[str, ...]:
    names = ("body", "test", "orelse") if kind is ast.IfExp else kind._fields
    words = {"id", "attr", "arg", "ctx", "op", "ops", "kind", "type_comment"}
    return () if kind is ast.Constant else tuple(name for name in names if name not in words)


def _node_words(node: ast.AST) -> tuple[str, ...]:
    """The word of the node's kind, then those of its name or value."""
    kind = type(node)
    if kind is ast.Name:
        return _named("<Name>", node.id)
    if kind is ast.Constant:
        return _constant(node.value)
    if kind is ast.Attribute:
        return _named("<Attribute>", node.attr)
    if kind is ast.keyword or kind is ast.arg:
        return _named(f"<{kind.__name__}>", node.arg or "**")
    if kind is ast.UnaryOp and _is_negative(node):
        return _constant(-node.operand.value)
    return _plain(kind, *_detail(node))


def _detail(node: ast.AST) -> tuple[str, ...]:
    """What the kind's name leaves open: operators, and which bounds a slice has."""
    kind = type(node)
    if kind is ast.BinOp or kind is ast.UnaryOp or kind is ast.BoolOp:
        return (type(node.op).__name__,)
    if kind is ast.Compare:
        return tuple(type(operator).__name__ for operator in node.ops)
    if kind is ast.Slice:
        return tuple(name for name in ast.Slice._fields if getattr(node, name))
    return ()


@lru_cache(1 << 12)
def _plain(kind: type, *detail: str) -> tuple[str]:
    return (f"<{':'.join((kind.__name__, *detail))}>",)


def _is_negative(node: ast.UnaryOp) -> bool:
    number = getattr(node.operand, "value", None)
    return isinstance(node.op, ast.USub) and type(number) in (int, float)


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


@lru_cache(4)
def _source_lines(path: Path) -> list[bytes]:
    """Lines in UTF-8, whose bytes the parser's columns count."""
    with tokenize.open(path) as file:
        return [line.encode() for line in file.read().split("\n")]
