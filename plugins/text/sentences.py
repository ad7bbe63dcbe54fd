"""Sentences with tags, and the files of their splits."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import structnet as sn
from structnet.plugins.files.lines import Line

# Of the letters in the names of files, what says that one is of a split.
SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "testa"),
    "test": ("test", "testb"),
}


@dataclass(frozen=True)
class Sentence:
    """The words of a sentence with their tags, and where they are.

    Arguments:
        path: the file.
        words: the words, one at least.
        tags: a tag per word, None where it is not known.
        lines: the line of every word or, in corpora of NLTK, the number of the sentence.
        numbers: what `lines` are, line or sentence.
    """

    path: Any
    words: tuple[str, ...]
    tags: tuple[str | None, ...]
    lines: tuple[int, ...]
    numbers: str = "line"

    @property
    def line(self) -> int:
        return self.lines[0]

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def tagged(self) -> list[tuple[str, str]]:
        """The words that have tags, with them."""
        return [(word, tag) for word, tag in zip(self.words, self.tags, strict=True) if tag]

    def place(self, word: int = 0) -> str:
        """Where a word is, for messages."""
        return f"{self.path}, {self.numbers} {self.lines[word]}"

    def cut(self, length: int | None) -> "Sentence":
        """The sentence up to a number of words; all of it where None."""
        words, tags, lines = self.words[:length], self.tags[:length], self.lines[:length]
        return replace(self, words=words, tags=tags, lines=lines)


def find_files(root: Path) -> dict[str, Path]:
    """The files of the splits in a folder by name; a single file as `all`.

    A file is of a split if its name has that word in it, as in `en_ewt-ud-train.conllu.gz`,
    `emerging.dev.conll` and `eng.testa`. FileNotFoundError if there is nothing there, ValueError if
    no file of a folder is for training, or several are of one split.
    """
    if not root.exists():
        raise FileNotFoundError(f"no file or folder {root}")
    if not root.is_dir():
        sn.check_file(root)
        return {"all": root}
    files = [path for path in sorted(root.iterdir()) if path.is_file() and path.name[0] != "."]
    found = {}
    for split, names in SPLITS.items():
        paths = [path for path in files if _words(path.name) & set(names)]
        if len(paths) > 1:
            shown = ", ".join(path.name for path in paths)
            raise ValueError(f"{root} has several files for {split}, {shown}: keep one")
        if paths:
            found[split] = paths[0]
    if "train" not in found:
        raise ValueError(
            f"no file in {root} has 'train' in its name: give a single file, or name those of the "
            "splits like train.conllu, dev.conllu and test.conllu"
        )
    return found


def _words(name: str) -> set[str]:
    return set(re.findall("[a-z]+", name.lower()))


def blocks(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """The lines between blank ones; a line of blanks alone is a blank one."""
    for is_blank, block in groupby(lines, key=lambda line: not line.text.strip()):
        if not is_blank:
            yield list(block)
