"""Objects in JSON: one per line in .jsonl and .ndjson, any number of them in .json."""

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import structnet as sn
from structnet.plugins.files.lines import shown
from structnet.plugins.shapes.shape import Place, described
from structnet.plugins.treebanks.json_text import unwrapped, values

# The most bytes of a line: no single tree or graph is larger.
LONGEST = 1 << 28
# The most bytes that a gzip file may unpack to.
UNPACKED = 1 << 30
LINES = (".jsonl", ".ndjson")


def read_objects(path: Path) -> Iterator[tuple[Place, dict[str, Any]]]:
    """The objects of a file, each with its place; a list's are those of the list.

    A file of lines is read line by line. ValueError, which names file and line, for what is not
    JSON, for a value that is no object, and for a file without any.
    """
    is_lines = path.name.lower().removesuffix(".gz").endswith(LINES)
    count = 0
    for place, value in _of_lines(path) if is_lines else _of_text(path):
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, dict):
                raise place.mistake(f"{described(one)}, expected an object such as {{...}}")
            count += 1
            yield place, one
    if not count:
        raise ValueError(f"{path} is empty, expected an object in JSON on every line")


def _of_text(path: Path) -> Iterator[tuple[Place, Any]]:
    return _parsed(path, sn.read_text(path))


def _parsed(path: Path, text: str, first: int = 1) -> Iterator[tuple[Place, Any]]:
    """The values of a text whose first line has the given number; those of a list one by one."""
    for value in values(path, text):
        for one in value.content if isinstance(value.content, list) else [value]:
            yield Place(path, first - 1 + one.line), unwrapped(one)


def _of_lines(path: Path) -> Iterator[tuple[Place, Any]]:
    for number, text in enumerate(text_lines(path), start=1):
        if text.strip():
            yield from _of_line(Place(path, number), text)


def _of_line(place: Place, text: str) -> Iterator[tuple[Place, Any]]:
    try:
        found = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_constant, parse_float=sn.Spelled
        )
    except RecursionError:
        # Deeper than Python's own reader goes.
        yield from _parsed(place.path, text, place.line)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{place.path}, line {place.line}, column {error.colno}: not JSON "
            f"({error.msg[0].lower()}{error.msg[1:]}), expected an object on every line, got "
            f"{shown(text.strip())}"
        ) from error
    except ValueError as error:
        raise place.mistake(str(error)) from error
    else:
        yield place, found


def text_lines(path: Path) -> Iterator[str]:
    """The lines of a text file, unpacked if its name ends in .gz, read one at a time.

    ValueError for a line that is not UTF-8 or has more than `LONGEST` bytes, and for a damaged gzip
    file; the others are those of `sn.check_file`.
    """
    sn.check_file(path)
    packed = path.suffix == ".gz"
    with cast(BinaryIO, (gzip.open if packed else open)(path, "rb")) as file:
        number = read = 0
        while True:
            number += 1
            try:
                line = file.readline(LONGEST + 1)
            except (OSError, EOFError, zlib.error) as error:
                raise ValueError(f"{path}, line {number}: cannot be read ({error})") from error
            if not line:
                return
            read += len(line)
            if len(line) > LONGEST or (packed and read > UNPACKED):
                most, what = (LONGEST, "a line") if len(line) > LONGEST else (UNPACKED, "it")
                raise ValueError(
                    f"{path}, line {number}: {what} has more than {most:,} bytes, expected an "
                    "object on every line, and no more than this in a packed file"
                )
            try:
                yield line.decode().removeprefix("\ufeff" if number == 1 else "").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{path}, line {number}: not text in UTF-8 ({error.reason}); save it in UTF-8"
                ) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in found if keys.count(key) > 1)
        raise ValueError(f"key {shown(twice)} is there twice in an object")
    return found


def _constant(name: str) -> None:
    """NaN, which other programs write for a missing value, is missing."""
    if name != "NaN":
        raise ValueError(f"{name} is no number in JSON: write null where a value is missing")
