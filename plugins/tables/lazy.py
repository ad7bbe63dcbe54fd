"""Own data of more than memory holds: which is read in parts, and what was made of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.tables.prints import prints_of
from structnet.plugins.tables.splitting import SPLITS
from structnet.plugins.tables.store import Store, StoredSamples, Writer, store_folder
from structnet.plugins.tables.task import OwnData


def root_in_parts(task: OwnData) -> Path:
    """The path that is read in parts; ValueError where data is given in another way."""
    given = task.find()
    if "all" not in given or task.data is not None:
        raise ValueError(
            "task.lazy reads task.root in parts: leave it out for data in memory; in place of "
            "files of splits write a column that says the split, task.split_column"
        )
    return Path(given["all"]).expanduser()


def folder_of(task: OwnData, *more: Any) -> Path:
    """The folder of what a task makes of its files, with the options that are its own."""
    schema = {key: value for key, value in (task.schema or {}).items() if key != "files"}
    known = [schema, task.vocabulary and task.vocabulary.counts, list(task.classes)]
    options = [task.fixed, task.min_count, task.split_column, task.group_column, task.ignore]
    return store_folder({
        "data": prints_of(task.find()), "task": sn.tasks.called(task), "options": options,
        "splitting": asdict(task.splitting), "known": known, "more": more,
    })  # fmt: skip


def write_store(
    folder: Path,
    parts: Iterable[Sequence[sn.Sample]],
    split: NDArray[Any],
    encoder: Any,
    per_node: bool,
    plain: Mapping[str, Any] | None = None,
) -> None:
    """Write a store; ValueError for files that have changed while they were read.

    Arguments:
        folder: where it is from then on.
        parts: the samples, part by part.
        split: that of every sample, by name.
        encoder: what was learned: `schema`, `classes` and `plain()`.
        per_node: whether nodes have targets.
        plain: further plain data.
    """
    words = encoder.schema.vocabulary
    count = 0
    with Writer(folder) as writer:
        for samples in parts:
            writer.add(samples)
            count += len(samples)
        if count != len(split):
            raise ValueError(f"{count:,} samples, {len(split):,} when they were counted: the files "
                             "have changed while they were read; start again")  # fmt: skip
        learned = {
            "encoder": encoder.plain(),
            "classes": encoder.classes,
            "words": None if words is None else dict(words.counts),
        }
        numbers = np.array([SPLITS.index(name) for name in split.tolist()], np.int8)
        writer.finish(numbers, {**(plain or {}), **learned, "per_node": per_node})


def open_store(folder: Path, encoders: Any) -> tuple[Any, Store, dict[str, StoredSamples]]:
    """What was learned, a store and the samples of each split, for a class of encoders."""
    store = Store(folder)
    words = store.plain["words"]
    vocabulary = None if words is None else sn.Vocabulary(words)
    encoder = encoders.of(store.plain["encoder"], vocabulary, store.plain["classes"])
    split = store.arrays["split"]
    return (
        encoder,
        store,
        {name: StoredSamples(store, np.flatnonzero(split == at)) for at, name in enumerate(SPLITS)},
    )
