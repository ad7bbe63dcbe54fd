"""Word vectors in the text format of word2vec, GloVe and fastText."""

import gzip
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from structnet import DataWarning
from structnet.data.vocabulary import Vocabulary
from structnet.system.reading import check_file

# A line of the widest vectors in use, 4096 numbers, has about 100 kB.
LONGEST_LINE = 1 << 20
SHOWN = 40


class Vectors(NamedTuple):
    """The vectors of a vocabulary's words.

    Arguments:
        weight: (len(vocabulary), width), zeros for a word without a vector, and for id 0.
        known: (len(vocabulary),), whether a word has a vector.
    """

    weight: Tensor
    known: Tensor


def read_vectors(path: Path | str, vocabulary: Vocabulary) -> Vectors:
    """Read the vectors of a vocabulary's words from a file with one word per line.

    A line is the word and its numbers, separated by spaces; a first line of two whole numbers, as
    word2vec and fastText write it, is the number of vectors and their width. The file, unpacked if
    its name ends in .gz, is read line by line, and no vector is kept but those asked for. Of a word
    that occurs twice the first vector counts. Words of GloVe's that hold spaces are read as such.

    ValueError names file and line for another width than the first vector's, what is not a finite
    number, and a line of more than `LONGEST_LINE` bytes; it is raised as well if the file has none
    of the words. A DataWarning says if words are not UTF-8, or vectors are fewer or more than the
    first line says. Other errors are those of `sn.check_file`.
    """
    path = Path(path).expanduser()
    ids = {word.encode("utf-8", "surrogatepass"): i for i, word in enumerate(vocabulary.counts, 1)}
    lines, promised, width = _begin(path)
    weight = np.zeros((len(vocabulary), width), np.float32)
    known = np.zeros(len(vocabulary), bool)
    count, undecoded = 0, []
    for number, line in lines:
        word, values = _parts(path, number, line, width)
        count += 1
        if not _is_utf8(word):
            undecoded.append(number)
        elif (at := ids.get(word)) is not None and not known[at]:
            weight[at] = _numbers(path, number, values)
            known[at] = True
    if undecoded:
        _warn(
            f"{path}: skipped {len(undecoded)} of {count} words, which are not text in UTF-8, the "
            f"first in line {undecoded[0]}"
        )
    if promised not in (None, count):
        _warn(f"{path}: the first line says {promised} vectors, the file has {count}")
    if not known.any():
        raise ValueError(
            f"{path} has none of the {len(vocabulary.counts)} words of the vocabulary, such as "
            f"{list(vocabulary.counts)[:3]}: take vectors of the same language and writing"
        )
    return Vectors(torch.from_numpy(weight), torch.from_numpy(known))


def _begin(path: Path) -> tuple[Iterator[tuple[int, bytes]], int | None, int]:
    """The lines with a vector, and how many there are by the first line, and their width."""
    lines = _lines(path)
    number, first = next(lines, (1, b""))
    head = first.split()
    if len(head) == 2 and all(part.isdigit() for part in head):
        promised, width = map(int, head)
        if not 1 <= width <= LONGEST_LINE:
            raise _mistake(path, number, f"vectors of width {width}")
        return lines, promised, width
    width = max(0, len(first.split()) - 1)
    if not width or _count_numbers(first) < width:
        raise _mistake(path, number, f"expected a word and finite numbers, got {_shown(first)}")

    def again() -> Iterator[tuple[int, bytes]]:
        yield number, first
        yield from lines

    return again(), None, width


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file without spaces around them, numbered from 1; none for blank ones."""
    check_file(path)
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                if len(line) > LONGEST_LINE:
                    raise _mistake(path, number, f"more than {LONGEST_LINE:,} bytes")
                # Spaces in ASCII alone: a word may hold others.
                if line := line.replace(b"\t", b" ").strip(b" \r\n"):
                    yield number, line
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path} is not a complete gzip file after line {number} ({error}); get it again, or "
            "unpack it"
        ) from error


def _parts(path: Path, number: int, line: bytes, width: int) -> tuple[bytes, bytes]:
    """The word of a line, and its numbers."""
    word, _, values = line.partition(b" ")
    found = values.count(b" ") + 1 if values else 0
    if found == width:
        return word, values
    parts = line.split()
    # A word may hold spaces, but what follows its first part is then not a number.
    if len(parts) > width and _count_numbers(line) == width:
        return b" ".join(parts[:-width]), b" ".join(parts[-width:])
    raise _mistake(
        path,
        number,
        f"{_count_numbers(line)} numbers, expected {width} as for the vectors before, "
        f"in {_shown(line)}",
    )


def _count_numbers(line: bytes) -> int:
    """How many numbers a line ends with, after its first part."""
    parts = line.split()[1:]
    count = 0
    while count < len(parts) and _is_number(parts[-1 - count]):
        count += 1
    return count


def _numbers(path: Path, number: int, values: bytes) -> np.ndarray:
    for value in (parts := values.split()):
        if not _is_number(value):
            raise _mistake(path, number, f"expected a finite number, got {_shown(value)}")
    return np.array(list(map(float, parts)), np.float32)


def _is_number(value: bytes) -> bool:
    try:
        # Numbers above float32's largest would be infinite in the weights.
        return abs(float(value)) <= float(np.finfo(np.float32).max)
    except ValueError:
        return False


def _is_utf8(word: bytes) -> bool:
    try:
        word.decode()
    except UnicodeDecodeError:
        return False
    return True


def _mistake(path: Path, number: int, what: str) -> ValueError:
    return ValueError(f"{path}, line {number}: {what}")


def _shown(value: bytes) -> str:
    text = value.decode(errors="replace")
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}...")


def _warn(message: str) -> None:
    warnings.warn(message, DataWarning, stacklevel=3)
