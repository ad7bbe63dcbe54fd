"""The samples of a run's task: what it loads, and what it reads of a user's files.

What goes wrong in a plugin's code is named with its place, instead of a traceback through ours.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from structnet import registry
from structnet.data.batch import Origin, Sample, Tokens, collate
from structnet.data.filled import warn_of_slots
from structnet.data.mixed import Mixed
from structnet.data.splits import Splits
from structnet.data.task import Task
from structnet.registry.plugin import describe
from structnet.run.description import learned_classes
from structnet.run.pretrained import extended, is_opened
from structnet.run.run import Run
from structnet.system.memory import uncollected

SPLITS = ("train", "validation", "test")


def warn_of_run(run: Run, samples: Sequence[Sample], what: str) -> None:
    """A DataWarning where samples fill slots that no training sample of the run filled."""
    unfilled = run.read_metrics().get("unfilled_slots", {})
    if not isinstance(unfilled, dict) or not all(
        direction in run.topology.directions
        and isinstance(slots, list)
        and all(type(slot) is int for slot in slots)
        for direction, slots in unfilled.items()
    ):
        raise ValueError(
            f"unfilled_slots of {run.directory / 'metrics.json'} are lists of slots by direction, "
            f"got {_short(unfilled)}; leave them out, and no slots are looked at"
        )
    warn_of_slots(run.topology, unfilled, samples, what)


def load_samples(run: Run) -> Splits:
    """What the run's task loads; ValueError if that is not splits, or not what the net learned."""
    name, task = run.config["task"]["name"], run.task
    splits = _load(run)
    words = task.vocabulary
    if words is not None and run.pretrained is not None and is_opened(run.embedded):
        # Read again: words that only the pretrained net knows are then known as well.
        task.know(extended(run, words), {})
        splits = _load(run)
    for split in SPLITS:
        if not len(splits[split]):
            raise ValueError(f"`load` of task {name!r} gives no samples for split {split!r}")
        with named(run, f"task {name!r} makes a first sample of {split} that is none"):
            _check_sample([splits[split][i] for i in range(task.group)], run)
    return splits


def _load(run: Run) -> Splits:
    """What the task loads and keeps; ValueError if it learns anew what it knew."""
    name, task = run.config["task"]["name"], run.task
    learned = _learned(task)
    with named(run, f"task {name!r} failed to load its data"), uncollected():
        splits = task.load(run.topology)
    if not isinstance(splits, dict) or not set(SPLITS) <= set(splits):
        given = list(splits) if isinstance(splits, dict) else type(splits).__name__
        raise ValueError(f"`load` of task {name!r} gives train, validation and test, got {given}")
    with named(run, f"task {name!r} failed to load its data"):
        splits = task.keep(splits)
        now = _learned(task)
        for what, before in learned.items():
            if before and before != (after := now[what]):
                raise ValueError(
                    f"`load` of task {name!r} makes another {what}, {_short(after)}, of what the "
                    f"net learned, {_short(before)}: it keeps one that is already there"
                )
    return splits


def read_samples(run: Run, path: Path) -> list[Sample]:
    """The samples of a user's file or folder, each with an origin: those without are numbered."""
    name, samples = run.config["task"]["name"], []
    last = ""
    reading = run.task.read(path, run.topology)
    with named(run, f"task {name!r} failed to read {path}", lambda: last):
        for number, sample in enumerate(reading):
            sample = _with_origin(sample, number, path, name)
            last = f" after sample {number} ({sample.origin.path}:{sample.origin.line})"
            samples.append(sample)
    return samples


def structure_texts(run: Run, texts: Iterable[Origin]) -> list[Sample]:
    """The samples of a user's texts, each with its origin."""
    name, samples = run.config["task"]["name"], []
    for origin in texts:
        with named(run, f"task {name!r} failed to read text {origin.line} of {origin.path}"):
            samples.append(replace(run.task.read_text(origin, run.topology), origin=origin))
    return samples


def data_samples(run: Run, data: Any) -> list[Sample]:
    """The samples of what a user has in Python, each with an origin."""
    name, samples = run.config["task"]["name"], []
    with named(run, f"task {name!r} failed to read the data"):
        for number, sample in enumerate(run.task.read_data(data, run.topology)):
            samples.append(_with_origin(sample, number, Path("data"), name))
    return samples


@contextmanager
def named(run: Run, what: str, where: Any = lambda: "") -> Iterator[None]:
    """Any error of a plugin's task as a ValueError that says what failed, where and of what."""
    plugin = registry.tasks.plugin(run.config["task"]["name"])
    try:
        yield
    except OSError:
        # It names its file.
        raise
    except Exception as error:
        if plugin is None or plugin.module.startswith("structnet."):
            raise
        raise ValueError(f"{what}{where()}: {describe(error, plugin.module)}") from error


def _check_sample(samples: list[Any], run: Run) -> None:
    """ValueError for what no net of the task takes; of all samples the first group stands for."""
    for sample in samples:
        if not isinstance(sample, Sample):
            raise ValueError(f"it is a sn.Sample, got {_short(sample)}")
    task, x = run.task, collate(samples, run.topology).x
    if isinstance(x, Mixed):
        _check_input(x.tokens, task)
        _check_input(x.numbers, task)
    else:
        _check_input(x, task)


def _check_input(x: Any, task: Task) -> None:
    if isinstance(x, Tokens):
        words = 0 if task.vocabulary is None else len(task.vocabulary)
        if len(x.ids) and int(x.ids.max()) >= words:
            raise ValueError(f"its token {int(x.ids.max())} is none of a vocabulary of {words}")
    elif x.dtype != torch.float32 or x.shape[1:] != (task.input_size,):
        raise ValueError(
            f"its x is float32 (n, {task.input_size}) as by `input_size`, or sn.Tokens, got "
            f"{str(x.dtype).removeprefix('torch.')} {tuple(x.shape)}"
        )


def _learned(task: Task) -> dict[str, list[str]]:
    words = [] if task.vocabulary is None else list(task.vocabulary.counts)
    return {"vocabulary": words, "classes": learned_classes(task)}


def _with_origin(sample: Any, number: int, path: Path, name: str) -> Sample:
    if not isinstance(sample, Sample):
        raise TypeError(f"`read` of task {name!r} gives sn.Sample, got {_short(sample)}")
    origin = sample.origin
    if origin is None:
        return replace(sample, origin=Origin(path, number + 1, f"sample {number}"))
    if not all(hasattr(origin, part) for part in ("path", "line", "text")):
        raise TypeError(
            f"the origin of sample {number} is sn.Origin(path, line, text), got {_short(origin)}"
        )
    return sample


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
