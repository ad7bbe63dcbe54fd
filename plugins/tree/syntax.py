"""Python source as flat arrays of nodes, every node a tuple of words."""

import ast
import math
import os
import re
import sysconfig
import tokenize
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from structnet.plugins.tree.context import (
    FUNCTIONS,
    context_words,
    introduced,
    named_arguments,
)

import structnet as sn

STRING_WORDS = 12
# A parsed file takes 400 times its size in memory, and 3 seconds a megabyte.
LARGEST = 2_000_000
# An integer up to this size is a word of its own, a larger one the word of its number of bits.
SMALL_INTEGER = 256

_TESTS = {"test", "tests", "idle_test"}
_FOREIGN = {"site-packages", "__pycache__", "venv", "node_modules"}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
_PLACEHOLDER = re.compile(r"%[-#0 +*.\d]*[diouxXeEfFgGcrsa]|%\(|\{\w*[^{}]*\}")
# These are read after their first child, as in `left + right`, `value.attr` and `func(args)`.
_INFIX = (ast.BinOp, ast.BoolOp, ast.Compare, ast.Attribute, ast.Call, ast.Subscript, ast.IfExp,
          ast.NamedExpr)  # fmt: skip


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
    if not root.is_dir():
        sn.check_file(root)
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


def split_files(root: Path | None) -> dict[str, list[Path]]:
    """The Python files below `root` (None: the standard library), tests left out, in three splits.

    One file in ten each makes validation and test, by a fixed draw. ValueError for fewer than
    three.
    """
    files = python_files(root or standard_library())
    if len(files) < 3:
        raise ValueError(
            f"{len(files)} Python files below {root}, tests left out; training, validation and "
            "test take one at least each: give task.root a larger folder"
        )
    order = np.random.default_rng(0).permutation(len(files))
    tenth = max(1, len(files) // 10)
    parts = np.split(order, [tenth, 2 * tenth])
    names = ("test", "validation", "train")
    return {n: [files[i] for i in sorted(part)] for n, part in zip(names, parts, strict=True)}


def refuse_all_unread(files: Sequence[Path], passed_over: int) -> None:
    """ValueError where every one of the files was passed over."""
    if files and passed_over == len(files):
        raise ValueError(f"none of {passed_over} Python files can be read, {files[0]} first")


def parse(path: Path) -> ast.Module:
    """The module in a file; whatever keeps it from being parsed is raised as SyntaxError."""
    source = _read(Path(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source, str(path))
    except SyntaxError as error:
        place = f"{path}, line {error.lineno}" if error.lineno else path
        raise SyntaxError(f"{place}: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise SyntaxError(f"{path}: {error or type(error).__name__}") from error


def _read(path: Path) -> bytes:
    try:
        size = sn.check_file(path)
    except ValueError as error:
        raise SyntaxError(str(error)) from error
    if size > LARGEST:
        raise SyntaxError(
            f"{path}: {sn.as_bytes(size)} of source, more than {sn.as_bytes(LARGEST)}; give a "
            "part of it"
        )
    try:
        return path.read_bytes()
    except OSError as error:
        # Only opening a file names it.
        raise type(error)(error.errno, error.strerror, str(path)) from error


class Place(NamedTuple):
    """Where a node stands in its file; columns count bytes."""

    line: int
    column: int
    end_line: int
    end_column: int | None


def place_of(node: ast.stmt | ast.expr) -> Place:
    end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or 0
    return Place(node.lineno, node.col_offset, end_line, end_column)


def excerpt(path: Path, place: Place) -> str:
    """The source at a place on one line, read from the file anew."""
    lines = _source_lines(path)[place.line - 1 : place.end_line]
    lines[-1] = lines[-1][: place.end_column]
    lines[0] = lines[0][place.column :]
    return " ".join(b" ".join(lines).decode(errors="replace").split())


@lru_cache(4)
def _source_lines(path: Path) -> list[bytes]:
    """Lines in UTF-8, whose bytes the parser's columns count."""
    with tokenize.open(path) as file:
        return [line.encode() for line in file.read().split("\n")]


@dataclass(frozen=True, slots=True)
class Source:
    """A file's nodes in pre-order; the subtree of v is read from `first_read[v]` on.

    `context` are words for what surrounds a node.
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
    """The file's nodes; number and kind of the infix nodes that are of a kind, and the nodes."""
    words, context, parent, first_read, infix, found = [], [], [], [], [], []
    places = named_arguments(module)
    # Each entry: a node, its parent, its function's names, and how many ancestors-or-self are first
    # child of an infix node, for so much earlier than in pre-order is its subtree read.
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
    # An infix node is read when its first child, the node after it, has been.
    read_at[infix] += np.array(size)[np.array(infix, dtype=np.int64) + 1]
    reading[read_at] = np.arange(len(words))
    return Source(words, context, size, first_read, np.array(parent), reading), found


def _children(node: ast.AST) -> list[ast.AST]:
    """The child nodes as the source orders them; operators, contexts and signs are no nodes."""
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
    """The word of the node's kind, then those of its name or value."""
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
    """What the kind's name leaves open: operators, and which bounds a slice has."""
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
    """The value of a negative number, which is an operation in the syntax tree."""
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
