"""Sentences in CoNLL-U, the format of Universal Dependencies."""

import re
from collections.abc import Iterator
from pathlib import Path

from structnet.plugins.files.lines import Line, read_lines
from structnet.plugins.text.sentences import Sentence, blocks

COLUMNS = 10
FORM = 1
# Where the tags of a column are, and where the features are.
TAGS = {"upos": 3, "xpos": 4, "deprel": 7}
FEATURES = 5
# The number of a word; of words that are written as one; of a node that is not written.
NUMBER = re.compile(r"(\d{1,9})(?:([-.])(\d{1,9}))?", re.ASCII)
NOTHING = "_"

Row = tuple[Line, list[str]]


def is_conllu(path: Path) -> bool:
    return path.name.removesuffix(".gz").endswith(".conllu")


def read_conllu(path: Path, tag: str | None) -> Iterator[Sentence]:
    """The sentences of a file, which may be packed by gzip.

    https://universaldependencies.org/format.html: words have the numbers 1, 2, ...; of a multiword
    token, such as 3-4, they are its parts, and what is read is them; empty nodes, such as 8.1, are
    not words. A word whose tag is `_` has none; one without a feature has the feature's tag `_`.

    ValueError names file and line of what is not CoNLL-U.

    Arguments:
        path: the file.
        tag: upos, xpos, deprel, or the name of a feature such as Number; None for no tags.
    """
    for rows in read_rows(path):
        yield Sentence(
            path,
            tuple(fields[FORM] for _, fields in rows),
            tuple(None if tag is None else _tag(line, fields, tag) for line, fields in rows),
            tuple(line.line for line, _ in rows),
        )


def read_rows(path: Path) -> Iterator[list[Row]]:
    """The words of every sentence, each with its line and the line's ten columns.

    ValueError names file and line of what is not CoNLL-U.
    """
    for block in blocks(read_lines(path)):
        rows: list[Row] = []
        for line in block:
            if line.text.startswith("#"):
                continue
            fields = _fields(line)
            if _is_word(line, fields[0], len(rows)):
                rows.append((line, fields))
        if rows:
            yield rows


def features_of(path: Path) -> list[str]:
    """The names of the features of a file's words, sorted."""
    found = set()
    for block in blocks(read_lines(path)):
        for line in block:
            if not line.text.startswith("#"):
                found |= features_in(line, _fields(line)).keys()
    return sorted(found)


def _fields(line: Line) -> list[str]:
    fields = line.text.split("\t")
    if len(fields) != COLUMNS:
        raise ValueError(
            f"{line.path}, line {line.line}: expected {COLUMNS} columns with tabs between "
            f"them, found {len(fields)}"
        )
    if "" in fields:
        raise ValueError(
            f"{line.path}, line {line.line}: column {fields.index('') + 1} is empty, CoNLL-U has "
            f"{NOTHING} in its place"
        )
    return fields


def _is_word(line: Line, number: str, before: int) -> bool:
    """Whether a line is that of a word, of which there are `before` in the sentence already."""
    match = NUMBER.fullmatch(number)
    if match is None:
        raise line.refuse(number, "the number of a word, of several such as 3-4, or such as 8.1", 1)
    first, sign, last = match.groups()
    if sign == "-" and (int(first) != before + 1 or int(last) <= int(first)):
        raise line.refuse(number, f"the numbers of words from {before + 1} on", 1)
    if sign == "." and int(first) != before:
        raise line.refuse(number, f"a node after word {before}, {before}.1", 1)
    if sign is None and int(first) != before + 1:
        raise line.refuse(number, f"the number of the next word, {before + 1}", 1)
    return sign is None


def _tag(line: Line, fields: list[str], tag: str) -> str | None:
    if tag not in TAGS:
        return features_in(line, fields).get(tag, NOTHING)
    value = fields[TAGS[tag]]
    return None if value == NOTHING else value


def features_in(line: Line, fields: list[str]) -> dict[str, str]:
    """The features of a word, value by name."""
    given = fields[FEATURES]
    if given == NOTHING:
        return {}
    pairs = [pair.partition("=") for pair in given.split("|")]
    if not all(name and sign and value for name, sign, value in pairs):
        raise line.refuse(given, "features such as Number=Sing|Person=3", FEATURES + 1)
    return {name: value for name, _, value in pairs}
