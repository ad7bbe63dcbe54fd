"""Texts with their classes, read from folders and tables."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structnet as sn
from structnet.plugins.files.lines import read_lines
from structnet.plugins.files.tables import read_rows
from structnet.plugins.text.corpora import text_files

SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
}
TABLES = (".tsv", ".csv", ".jsonl", ".ndjson")


@dataclass(frozen=True)
class Text:
    """A text, the file and line where it begins, and its class, if it is known."""

    path: Any
    line: int
    text: str
    label: str | None = None

    @property
    def place(self) -> str:
        return f"{self.path}, line {self.line}"


@dataclass(frozen=True)
class Columns:
    """The columns of the text and of its class: names, or numbers from 1 where none has a name."""

    text: str
    label: str

    def __post_init__(self) -> None:
        if self.text == self.label:
            raise ValueError(f"text_column and label_column are both {self.text!r}")
        if self.text.isdecimal() != self.label.isdecimal() or "0" in (self.text, self.label):
            raise ValueError(
                f"text_column={self.text} and label_column={self.label}: both are names in a "
                "table's first line, or both are numbers from 1 of a table without such a line"
            )

    @property
    def are_numbers(self) -> bool:
        return self.text.isdecimal()


def find_texts(root: Path) -> dict[str, Path]:
    """The files or folders of the splits by name; all in `all` where there are no such files.

    ValueError if there is a validation or test split, but none for training.
    """
    found: dict[str, Path] = {}
    if root.is_dir():
        for split, names in SPLITS.items():
            paths = [
                path
                for path in sorted(root.iterdir())
                if path.name in names or (_suffix(path) in TABLES and _stem(path) in names)
            ]
            if len(paths) > 1:
                shown = ", ".join(path.name for path in paths)
                raise ValueError(f"{root} has several splits for {split}, {shown}: keep one")
            if paths:
                found[split] = paths[0]
    elif not root.exists():
        raise FileNotFoundError(f"no file or folder {root}")
    if found and "train" not in found:
        shown = ", ".join(path.name for path in found.values())
        raise ValueError(f"{root} has {shown}, but no train split beside it")
    return found or {"all": root}


def read_texts(path: Path, columns: Columns, labelled: bool = True) -> Iterator[Text]:
    """The texts of a folder with a folder per class, or of a table.

    ValueError names file and line of a wrong row, and of an empty text; and a table without texts.

    Arguments:
        path: a folder; or a file .tsv, .csv, or .jsonl with an object per line, also with .gz.
        columns: where a table has the texts and classes.
        labelled: whether classes are read; without, all tables below a folder are read, and any
            other file is one text.
    """
    if path.is_dir() and not labelled:
        for file in text_files(path):
            yield from read_texts(file, columns, labelled=False)
        return
    if path.is_dir():
        found = _read_folder(path)
    elif _suffix(path) in TABLES:
        found = _read_table(path, columns, labelled)
    elif labelled:
        sn.check_file(path)
        raise ValueError(
            f"{path} is neither a folder with a folder per class, nor a table: "
            f"{', '.join(TABLES)}, also with .gz"
        )
    else:
        found = iter([_whole(path)])
    text = None
    for text in found:
        if not text.text.strip():
            raise ValueError(f"{text.place}: an empty text; remove it")
        yield text
    if text is None and labelled:
        raise ValueError(f"{path} has no texts")


def _read_folder(root: Path) -> Iterator[Text]:
    folders = [one for one in _visible(root) if one.is_dir()]
    if not folders:
        raise ValueError(f"{root} has no folder per class, and no train.tsv, .csv or .jsonl")
    for folder in folders:
        files = [one for one in _visible(folder) if not one.is_dir()]
        if not files:
            raise ValueError(f"{folder} has no files: it is read as a class, with a text per file")
        for file in files:
            yield _whole(file, folder.name)


def _whole(path: Path, label: str | None = None) -> Text:
    return Text(path, 1, sn.read_text(path), label)


def _visible(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if not one.name.startswith("."))


def _read_table(path: Path, columns: Columns, labelled: bool) -> Iterator[Text]:
    wanted = (columns.text, columns.label) if labelled else (columns.text,)
    if _suffix(path) in (".jsonl", ".ndjson"):
        for line in read_lines(path):
            if line.text.strip():
                values = _object(path, line.line, line.text, wanted)
                yield _text(path, line.line, values)
        return
    rows, at, width = read_rows(path, tabs=_suffix(path) == ".tsv"), None, None
    for number, row in rows:
        if width is None:
            width = len(row)
            at = _places(path, number, row, columns, wanted)
            if not columns.are_numbers:
                continue
        assert at is not None
        if len(row) != width:
            raise ValueError(
                f"{path}, line {number}: {len(row)} columns, expected {width} as in the first line"
            )
        yield _text(path, number, [row[i] for i in at])


def _places(
    path: Path, number: int, row: list[str], columns: Columns, wanted: tuple[str, ...]
) -> list[int]:
    """The indices of the wanted columns, given the first row."""
    for name in wanted:
        if columns.are_numbers and int(name) > len(row):
            raise ValueError(
                f"{path}, line {number}: {len(row)} columns, so none is column {name}; see "
                "task.text_column and task.label_column"
            )
        if not columns.are_numbers and row.count(name) != 1:
            raise ValueError(
                f"{path}, line {number}: expected the names of columns with one {name!r}, got "
                f"{_shown(row)}; set task.text_column and task.label_column to names, or to "
                "numbers from 1 if the first line has none"
            )
    return [int(name) - 1 if columns.are_numbers else row.index(name) for name in wanted]


def _object(path: Path, number: int, text: str, wanted: tuple[str, ...]) -> list[str]:
    """The values of an object in JSON."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}, line {number}: not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path}, line {number}: expected an object, got {_shown(found)}")
    for name in wanted:
        value = found.get(name)
        takes = str if name == wanted[0] else str | int | bool
        if not isinstance(value, takes):
            raise ValueError(
                f"{path}, line {number}: expected a {'text' if takes is str else 'class'} in "
                f"{name!r}, got {_shown(found)}; see task.text_column and task.label_column"
            )
    values = [str(found[name]) for name in wanted]
    if any("\ud800" <= sign <= "\udfff" for value in values for sign in value):
        raise ValueError(
            f"{path}, line {number}: half of a surrogate pair, which is not a character"
        )
    return values


def _text(path: Path, number: int, values: list[str]) -> Text:
    if values[1:] == [""]:
        raise ValueError(f"{path}, line {number}: an empty class")
    return Text(path, number, *values)


def _suffix(path: Path) -> str:
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix


def _stem(path: Path) -> str:
    return (path.with_suffix("") if path.suffix == ".gz" else path).stem


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."
