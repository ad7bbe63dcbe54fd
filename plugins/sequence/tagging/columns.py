"""Sentences in columns, a word per line, as in the shared tasks of CoNLL."""

from collections.abc import Iterator
from pathlib import Path

from structnet.plugins.files.lines import Line, read_lines
from structnet.plugins.text.sentences import Sentence, blocks

# What stands in place of a sentence where a document begins.
DOCUMENT = "-DOCSTART-"
COMMENT = "# "

Row = tuple[Line, list[str]]


def read_columns(
    path: Path, word: int, tag: int | None, labelled: bool = True
) -> Iterator[Sentence]:
    """The sentences of a file, which may be packed by gzip; blank lines are between them.

    Columns are separated by tabs if the first row has one, else by spaces, and all rows have as
    many as the first. A line that begins with `# ` and has another number of columns is a comment;
    rows whose word is -DOCSTART- are left out. ValueError names file and line of a wrong row.

    Arguments:
        path: the file.
        word: the column of the word, from 1 on.
        tag: that of the tag; None for the last.
        labelled: whether tags are read; without, a column of words is enough.
    """
    for rows in _sentences(path):
        width, lines = len(rows[0][1]), tuple(line.line for line, _ in rows)
        wanted = {"word": word, "tag": tag or width} if labelled else {"word": word}
        for what, column in wanted.items():
            if column > width:
                raise ValueError(
                    f"{path}, line {lines[0]}: the last column is {width}, and {column} would be "
                    f"that of the {what}; see task.column and task.word_column"
                )
        if labelled and wanted["word"] == wanted["tag"]:
            raise ValueError(
                f"{path}, line {lines[0]}: column {word} would be both the word and its tag: "
                "expected a word and its tag, separated by a tab or spaces; see task.column and "
                "task.word_column"
            )
        for line, values in rows:
            for what, column in wanted.items():
                if not values[column - 1]:
                    raise ValueError(
                        f"{path}, line {line.line}: column {column}, the {what}, is empty"
                    )
        words, *tags = (
            tuple(values[column - 1] for _, values in rows) for column in wanted.values()
        )
        yield Sentence(path, words, tags[0] if tags else (None,) * len(words), lines)


def _sentences(path: Path) -> Iterator[list[Row]]:
    """The rows of every sentence, with as many values each."""
    first, width, tabs = 0, 0, False
    for block in blocks(read_lines(path)):
        rows = []
        for line in block:
            is_comment = line.text.startswith(COMMENT)
            if not width and not is_comment:
                tabs = "\t" in line.text
                first, width = line.line, len(_values(line, tabs))
            values = _values(line, tabs)
            if is_comment and len(values) != width:
                continue
            if len(values) != width:
                raise ValueError(
                    f"{path}, line {line.line}: expected {width} columns as in line {first}, "
                    f"found {len(values)}"
                )
            if values[0] != DOCUMENT:
                rows.append((line, values))
        if rows:
            yield rows


def _values(line: Line, tabs: bool) -> list[str]:
    if tabs:
        return [value.strip(" ") for value in line.text.split("\t")]
    return [value for value in line.text.replace("\t", " ").split(" ") if value]
