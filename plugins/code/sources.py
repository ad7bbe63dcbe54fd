"""Source files: finding and reading them; those of Python also split, parsed and quoted."""

import ast
import os
import sysconfig
import tokenize
import warnings
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

import structnet as sn
from structnet.plugins.files.splits import NO_FOLDS, Folds, deal, to_draw

# The largest file in bytes: parsed, it takes 400 times its size in memory, and 3 s per megabyte.
LARGEST = 2_000_000
_TESTS = {"test", "tests", "idle_test"}
_FOREIGN = {"site-packages", "__pycache__", "venv", "node_modules"}


def standard_library() -> Path:
    """The folder of this interpreter's standard library."""
    return Path(sysconfig.get_path("stdlib"))


def python_files(root: Path, *, tests: bool = False) -> list[Path]:
    """The Python files below a folder, or a file: `source_files`."""
    return source_files(root, (".py",), tests=tests)


def source_files(root: Path, endings: tuple[str, ...], *, tests: bool = False) -> list[Path]:
    """The files below `root` whose names end so, sorted, or `root` itself where it is a file.

    Hidden folders, virtual environments and installed packages are skipped, and tests as well
    unless `tests` is set. FileNotFoundError for a missing path, ValueError where there is no file.
    """
    root, names = Path(root), ", ".join(f"*{ending}" for ending in endings)
    if not root.exists():
        raise FileNotFoundError(f"no file or folder {str(root)!r}; give a source file or a folder")
    if not root.is_dir():
        sn.check_file(root)
        return [root]
    paths = []
    for folder, below, files in os.walk(root):
        below[:] = [name for name in below if _is_searched(Path(folder, name), tests)]
        found = [name for name in files if name.endswith(endings)]
        paths += [Path(folder, name) for name in found if tests or not name.startswith("test_")]
    if not paths:
        raise ValueError(
            f"no {names} file below {str(root)!r}{'' if tests else ' (tests are left out)'}; "
            "give a folder with such files, or one file"
        )
    return sorted(paths)


def _is_searched(folder: Path, tests: bool) -> bool:
    name = folder.name
    if name.startswith(".") or name in _FOREIGN or (folder / "pyvenv.cfg").exists():
        return False
    return tests or name not in _TESTS


def split_files(given: Mapping[str, Path], folds: Folds = NO_FOLDS) -> dict[str, list[Path]]:
    """The Python files of train, validation and test, those of tests left out.

    Of a split that is not given random files are drawn by a fixed seed, as by `deal`. ValueError
    for too few files.

    Arguments:
        given: the file or folder of each split, or of `all`; nothing is the standard library.
        folds: into which files are divided.
    """
    paths = dict(given) or {"all": standard_library()}
    below, missing = to_draw(paths, folds)
    files = python_files(below)
    order = np.random.default_rng(0).permutation(len(files)).tolist()
    try:
        drawn = deal(order, missing, folds, "Python files")
    except ValueError as error:
        raise ValueError(
            f"below {below}, tests left out, there are {error}: give a larger folder"
        ) from error
    found = {split: [files[at] for at in sorted(part)] for split, part in drawn.items()}
    return found | {split: python_files(path) for split, path in paths.items()}


def parse(path: Path) -> ast.Module:
    """Parse a file; SyntaxError for whatever keeps it from being parsed."""
    source = read_source(Path(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source, str(path))
    except SyntaxError as error:
        place = f"{path}, line {error.lineno}" if error.lineno else path
        raise SyntaxError(f"{place}: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise SyntaxError(f"{path}: {error or type(error).__name__}") from error


def read_source(path: Path) -> bytes:
    """The bytes of a file; SyntaxError for one that is too large, OSError as it is read."""
    try:
        size = sn.check_file(path)
    except ValueError as error:
        raise SyntaxError(str(error)) from error
    if size > LARGEST:
        raise SyntaxError(
            f"{path}: {sn.as_bytes(size)} of source, more than {sn.as_bytes(LARGEST)}; split it"
        )
    try:
        return path.read_bytes()
    except OSError as error:
        # Errors of reading, unlike those of opening, don't name the file.
        raise type(error)(error.errno, error.strerror, str(path)) from error


class Place(NamedTuple):
    """The lines and columns of a node in its file; columns count bytes."""

    line: int
    column: int
    end_line: int
    end_column: int | None


def place_of(node: ast.stmt | ast.expr) -> Place:
    end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or 0
    return Place(node.lineno, node.col_offset, end_line, end_column)


def excerpt(path: Path, place: Place) -> str:
    """The source at a place, joined to one line; the file is read again."""
    lines = _source_lines(path)[place.line - 1 : place.end_line]
    lines[-1] = lines[-1][: place.end_column]
    lines[0] = lines[0][place.column :]
    return " ".join(b" ".join(lines).decode(errors="replace").split())


def segment(path: Path, place: Place) -> str | None:
    """The source at a place as it is written; None where it has several lines."""
    if place.line != place.end_line:
        return None
    line = _source_lines(path)[place.line - 1]
    return line[place.column : place.end_column].decode(errors="replace")


def _source_lines(path: Path) -> list[bytes]:
    """The lines in UTF-8, as the parser's columns count bytes."""
    written = path.stat()
    return _lines_of(path, written.st_mtime_ns, written.st_size)


# Texts of predictions are read from all files by turns.
@lru_cache(1000)
def _lines_of(path: Path, written: int, size: int) -> list[bytes]:
    """The lines of a file, as it was last written."""
    with tokenize.open(path) as file:
        return [line.encode() for line in file.read().split("\n")]
