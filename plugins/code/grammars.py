"""Source code in any language for which a grammar of tree-sitter is installed."""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from structnet.plugins.code.sources import read_source, source_files
from structnet.plugins.files.lines import shown

# How names of files end, where this is not the name of their language.
ENDINGS = {
    "bash": (".sh", ".bash"),
    "c": (".c", ".h"),
    "c_sharp": (".cs",),
    "cpp": (".cpp", ".cc", ".cxx", ".hpp", ".hh", ".hxx", ".h"),
    "haskell": (".hs",),
    "javascript": (".js", ".mjs", ".cjs", ".jsx"),
    "julia": (".jl",),
    "kotlin": (".kt", ".kts"),
    "ocaml": (".ml",),
    "python": (".py",),
    "ruby": (".rb",),
    "rust": (".rs",),
    "typescript": (".ts", ".mts", ".cts"),
}
# The grammars that have another one's module.
MODULES = {"tsx": "typescript"}
PREFIX = "tree_sitter_"


@dataclass(frozen=True)
class Definition:
    """One of a file's outermost definitions or statements, as a tree in pre-order.

    Arguments:
        line: where it begins, from 1 on.
        kinds: what each node is, in the grammar's words; "" for keywords, operators and brackets.
        words: the text of every leaf, "" at other nodes.
        parent: every node's parent, -1 at the root.
    """

    line: int
    kinds: list[str]
    words: list[str]
    parent: list[int]


def programs(root: Path, language: str) -> list[Path]:
    """The files of a language below a folder, or a file.

    Raises the errors of `source_files`, and ValueError if no grammar of the language is installed.
    """
    load_parser(language)
    return source_files(root, ENDINGS.get(language, (f".{language}",)), tests=True)


def definitions(path: Path, language: str) -> Iterator[Definition | SyntaxError]:
    """The outermost definitions of a file, without comments; an error for each that has a mistake.

    The error names file, line and column; a file that is not text is one error. ValueError if no
    grammar of the language is installed. Nothing recurses.
    """
    parser = load_parser(language)
    try:
        source = read_source(path)
        source.decode()
    except (SyntaxError, OSError) as error:
        yield error if isinstance(error, SyntaxError) else SyntaxError(str(error))
        return
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        yield SyntaxError(f"{path}, line {line}: not text in UTF-8 ({error.reason})")
        return
    whole = parser.parse(source).root_node
    for node in [whole] if whole.is_error else whole.named_children:
        if node.has_error:
            yield _mistake(node, path, language, source)
        elif not node.is_extra:
            yield _definition(node, source)


@lru_cache
def load_parser(language: str) -> Any:
    """The parser of a language; ValueError, with what to install, if it is not there."""
    if not language.isidentifier():
        raise ValueError(
            f"option 'language' is the name of a grammar, such as python, c or go, got {language!r}"
        )
    module = PREFIX + MODULES.get(language, language)
    if find_spec("tree_sitter") is None or find_spec(module) is None:
        needed = [name for name in ("tree_sitter", module) if find_spec(name) is None]
        here = sorted(
            one.name.removeprefix(PREFIX)
            for one in pkgutil.iter_modules()
            if one.name.startswith(PREFIX)
        )
        raise ValueError(
            f"language {language!r} is read by tree-sitter and its grammar: "
            f"pip install {' '.join(needed).replace('_', '-')}; "
            f"the grammars installed are {', '.join(here) or 'none'}"
        )
    found = importlib.import_module(module)
    make = getattr(found, f"language_{language}", None) or getattr(found, "language", None)
    tree_sitter = importlib.import_module("tree_sitter")
    try:
        return tree_sitter.Parser(tree_sitter.Language(make and make()))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{module} has no grammar of {language!r} to read: {error}") from error


def _definition(root: Any, source: bytes) -> Definition:
    kinds: list[str] = []
    words: list[str] = []
    parent: list[int] = []
    # Nodes, and texts that are leaves without a kind.
    open_: list[tuple[Any, int]] = [(root, -1)]
    while open_:
        part, above = open_.pop()
        if isinstance(part, str):
            kind, word, below = "", part, []
        else:
            kind, word, below = part.type if part.is_named else "", "", _parts(part, source)
            if not part.child_count and below:
                word, below = below[0], []
        # A line's end may be a leaf.
        if kind or word or below:
            open_.extend((child, len(kinds)) for child in reversed(below))
            kinds.append(kind)
            words.append(word)
            parent.append(above)
    return Definition(root.start_point.row + 1, kinds, words, parent)


def _parts(node: Any, source: bytes) -> list[Any]:
    """The nodes below one, without comments, and the texts between them, as a string may have."""
    found, at = [], node.start_byte
    for child in node.children:
        found += [_in_a_line(source[at : child.start_byte]), *[child] * (not child.is_extra)]
        at = child.end_byte
    found.append(_in_a_line(source[at : node.end_byte]))
    return [part for part in found if part]


def _in_a_line(text: bytes) -> str:
    return " ".join(text.decode().split())


def _mistake(node: Any, path: Path, language: str, source: bytes) -> SyntaxError:
    """The error of the first part of a node that the grammar does not have."""
    while not (node.is_error or node.is_missing):
        wrong = [child for child in node.children if child.has_error or child.is_missing]
        # The part itself may be one of the grammar's nodes that are not shown.
        if not wrong:
            break
        node = wrong[0]
    row, begin = node.start_point
    column = len(source.split(b"\n", row + 1)[row][:begin].decode()) + 1
    text = (
        repr(node.type)
        if node.is_missing
        else shown(_in_a_line(source[node.start_byte : node.end_byte]))
    )
    what = "is missing" if node.is_missing else f"is not {language}"
    return SyntaxError(f"{path}, line {row + 1}, column {column}: {text} {what}")
