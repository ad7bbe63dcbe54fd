"""Sentences as they are learned: read, split, their entities in one scheme."""

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import structnet as sn
from structnet.plugins.files.splits import NO_FOLDS, Folds, to_draw
from structnet.plugins.sequence.tagging.columns import read_columns
from structnet.plugins.sequence.tagging.entities import (
    Scheme,
    is_part,
    lone_inside,
    read_entities,
    write_entities,
)
from structnet.plugins.text.conllu import TAGS, is_conllu, read_conllu
from structnet.plugins.text.sentences import Sentence
from structnet.plugins.text.splitting import draw_splits

Lone = Literal["refuse", "convert"]
# The most tags that a message names.
SHOWN = 10


@dataclass(frozen=True)
class Layout:
    """Where files have words and tags.

    Arguments:
        column: of CoNLL-U upos, xpos, deprel or a feature, by default upos; of columns a number
            from 1, by default the last.
        word_column: of columns, that of the word.
    """

    column: str | None
    word_column: int

    def __post_init__(self) -> None:
        if self.number is not None and self.number in (0, self.word_column):
            raise ValueError(
                f"column={self.column} and word_column={self.word_column}: the tag is in another "
                "column than the word, numbered from 1"
            )

    @property
    def number(self) -> int | None:
        """The number of the column; None for a name, and for the default."""
        return int(self.column) if self.column and self.column.isdecimal() else None

    def read(self, path: Path, labelled: bool = True) -> Iterator[Sentence]:
        """The sentences of a file, without tags unless `labelled`.

        ValueError for a column of the other kind of file, and for what is not in the format.
        """
        if is_conllu(path):
            if self.number is not None:
                raise ValueError(
                    f"task.column={self.column}: {path} is in CoNLL-U, whose tags are "
                    f"{', '.join(TAGS)} and features such as Number"
                )
            return read_conllu(path, (self.column or "upos") if labelled else None)
        if self.column is not None and self.number is None:
            raise ValueError(
                f"task.column={self.column}: {path} has columns with numbers from 1; what is in "
                "CoNLL-U has a name that ends in .conllu"
            )
        return read_columns(path, self.word_column, self.number, labelled)


def split_sentences(
    given: Mapping[str, Iterable[Sentence]], seed: int, folds: Folds = NO_FOLDS
) -> dict[str, list[Sentence]]:
    """The splits train, validation and test; of those that are not given, `all` or `train` gives.

    ValueError for too few sentences.
    """
    splits = {split: list(some) for split, some in given.items()}
    rest, missing = to_draw(splits, folds)
    try:
        where = draw_splits([one.text for one in rest], missing, seed, folds)
    except ValueError as error:
        raise ValueError(
            f"{rest[0].path if rest else 'the training split'} has sentences of {error}: give "
            "more, or a file for each split"
        ) from error
    for split, sentence in zip(where, rest, strict=True):
        splits.setdefault(split, []).append(sentence)
    return splits


def convert(sentence: Sentence, scheme: Scheme, lone: Lone) -> Sentence:
    """The sentence with its entities in a scheme.

    ValueError for other tags, and for an I or E without an entity to go on with, if it is refused.
    """
    tags: Any = sentence.tags
    for at, tag in enumerate(tags):
        if not is_part(tag):
            raise ValueError(
                f"{sentence.place(at)}: {tag!r} is not a tag of entities such as O, B-PER and "
                "I-PER: leave out task.scheme, or see task.column"
            )
    if lone == "refuse" and (at := lone_inside(tags)) is not None:
        raise ValueError(
            f"{sentence.place(at)}: {tags[at]!r} has no entity to go on with, after "
            f"{repr(tags[at - 1]) if at else 'nothing'}: correct it, or set "
            "task.lone_inside=convert to read it as the beginning of one"
        )
    return replace(sentence, tags=tuple(write_entities(read_entities(tags), len(tags), scheme)))


def shortened(sentences: Iterable[Sentence], length: int | None, what: str) -> Iterator[Sentence]:
    """The sentences up to a number of words; a DataWarning says how many of `what` were longer."""
    long: list[Sentence] = []
    for sentence in sentences:
        if length is not None and len(sentence.words) > length:
            long.append(sentence)
        yield sentence.cut(length)
    if long:
        more = f", and as much of {len(long) - 1} more of {what}" if len(long) > 1 else ""
        warnings.warn(
            f"{long[0].place()}: {len(long[0].words)} words, of which the first {length} are read"
            f"{more}; task.max_length=null reads all",
            sn.DataWarning,
            stacklevel=2,
        )


def _some(tags: Sequence[str]) -> str:
    """Tags for a message, the first of them if they are many."""
    return ", ".join(tags if len(tags) <= SHOWN else [*tags[:SHOWN], f"{len(tags) - SHOWN} more"])


def unseen_tags(splits: Mapping[str, Sequence[Sentence]], classes: Sequence[str]) -> Sequence[str]:
    """The tags that are none of the classes; a DataWarning names those of each split."""
    known, found = {*classes, None}, {}
    for split, sentences in splits.items():
        count: Counter[Any] = Counter()
        first = ""
        for one in sentences:
            for at, tag in enumerate(one.tags):
                if tag not in known:
                    count[tag] += 1
                    first = first or f"{one.place(at)}: tag {tag!r}"
        if count:
            warnings.warn(
                f"{first} is not one that the net learns: words of {split} tagged "
                f"{_some(sorted(count))} count as wrong, {count.total()} in all",
                sn.DataWarning,
                stacklevel=2,
            )
        found |= dict.fromkeys(count)
    return sorted(found)
