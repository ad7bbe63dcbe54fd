"""Tables of own data: CSV, JSON lines, Parquet, and data frames in memory."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import structnet as sn
from structnet.plugins.files.lines import read_lines
from structnet.plugins.files.tables import read_rows
from structnet.plugins.tables.arrow import read_frame, read_parquet
from structnet.plugins.tables.table import Table, join_tables, refuse_large, table_of

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
SEPARATORS = ",;\t|"
# What a value of a CSV file takes in memory while it is read, in bytes of the file.
TIMES = 12


def read_table(source: Any, ignore: Sequence[str] = ()) -> Table:
    """The table of a file, of all files of one kind below a folder, or of a data frame.

    Files are `SUFFIXES`, text also with .gz; frames whatever has `__arrow_c_stream__`, as those of
    pandas and polars. ValueError names file, line, column and value of what can't be read.

    Arguments:
        source: a path or a frame.
        ignore: the columns that are left out, whatever they hold.
    """
    if hasattr(source, "__arrow_c_stream__"):
        return read_frame(source, ignore)
    path = Path(source).expanduser()
    if path.is_dir():
        return join_tables(str(path), [read_table(file, ignore) for file in table_files(path)])
    if not path.exists():
        raise FileNotFoundError(f"no file or folder {path}: give a table, or a folder of tables")
    suffix = suffix_of(path)
    if suffix not in SUFFIXES:
        sn.check_file(path)
        raise ValueError(f"{path} is no table: its name ends in one of {', '.join(SUFFIXES)}")
    if suffix == ".parquet":
        table = read_parquet(path, ignore)
    elif suffix in (".jsonl", ".ndjson"):
        table = _read_objects(path, ignore)
    else:
        table = _read_separated(path, suffix == ".tsv", ignore)
    if not len(table):
        raise ValueError(f"{path} has no rows, but columns {list(table.columns)}")
    return table


def table_files(folder: Path) -> list[Path]:
    """The files with tables below a folder, sorted; ValueError for none, or several kinds."""
    files = sorted(
        path
        for path in folder.rglob("*")
        if suffix_of(path) in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    kinds = sorted({suffix_of(path) for path in files})
    if len(kinds) != 1:
        found = f"files of several kinds, {', '.join(kinds)}" if kinds else "no tables"
        raise ValueError(f"{folder} has {found}: it needs files of one of {', '.join(SUFFIXES)}")
    return files


def suffix_of(path: Path) -> str:
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()


def _read_separated(path: Path, tabs: bool, ignore: Sequence[str]) -> Table:
    """A file of separated values; its first line has the names of columns."""
    size = sn.check_file(path) * (4 if path.suffix == ".gz" else 1)
    refuse_large(path, size * TIMES)
    separator = "\t" if tabs else _separator(path)
    rows = read_rows(path, tabs=tabs, separator=separator)
    found = next(rows, None)
    if found is None:
        raise ValueError(f"{path} is empty: its first line has the names of the columns")
    names = _header(path, *found)
    lines: list[int] = []
    values: list[list[str]] = []
    for line, row in rows:
        if len(row) != len(names):
            raise ValueError(
                f"{path}, line {line}: {len(row)} values, expected {len(names)} as in its first "
                "line; put values that hold a separator in double quotes"
            )
        lines.append(line)
        values.append(row)
    table = Table(str(path), {}, np.array(lines, np.int64), ignored={*names}.intersection(ignore))
    for at, name in enumerate(names):
        if name not in ignore:
            table.read(name, [row[at] for row in values])
    return table


def _header(path: Path, line: int, names: list[str]) -> list[str]:
    """The names of columns; one without a name is called by its number."""
    named = [name.strip() or f"column_{at}" for at, name in enumerate(names, start=1)]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise ValueError(
            f"{path}, line {line}: several columns are called {twice[0]!r}; the first line has the "
            "names of the columns, each once"
        )
    return named


def _separator(path: Path) -> str:
    """What separates values in a file's first line."""
    first = sn.read_text(path).lstrip().split("\n", 1)[0]
    return max(SEPARATORS, key=lambda sign: (first.count(sign), sign == ","))


def _read_objects(path: Path, ignore: Sequence[str]) -> Table:
    """A file with an object of JSON on every line."""
    refuse_large(path, sn.check_file(path) * (4 if path.suffix == ".gz" else 1) * TIMES)
    records, lines = [], []
    for line, record in read_objects(path):
        records.append(record)
        lines.append(line)
    if not records:
        raise ValueError(f"{path} is empty: every line is an object of JSON")
    return table_of(records, str(path), lines, ignore)


def read_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects in a file of JSON lines, each with the number of its line."""
    for line in read_lines(path):
        if not line.text.strip():
            continue
        try:
            found = json.loads(line.text, parse_float=sn.Spelled)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}, line {line.line}: not JSON: {error}") from error
        if not isinstance(found, dict):
            raise line.refuse(found, "an object of JSON")
        yield line.line, found
