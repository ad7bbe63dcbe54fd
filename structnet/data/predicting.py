"""What a task tells of predictions: for a user's files and texts, and of what a net writes."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from torch import nn

from structnet.data.batch import Batch, Located, Origin, Sample
from structnet.data.cross_entropy import IGNORE
from structnet.data.drawing import Answer
from structnet.data.frames import library_of, rows_of
from structnet.registry import tasks
from structnet.topology.base import Topology


class Predicting:
    """The part of a task that makes samples of a user's own data, and reads a net's answers.

    Attributes:
        wanted: the class that prediction searches for, the most probable samples first; None to
            label every sample.
        generate: None, or a method (net, topology, **options) that makes samples with a net.
        generates: what it returns: picture, an object with `save(path)` for a .png; or text, an
            iterable of its pieces, which are printed as they come.
    """

    wanted: ClassVar[str | None] = None
    generate: Callable[..., Any] | None = None
    generates: Literal["picture", "text"] = "picture"

    def read(self, path: Path, topology: Topology) -> Iterator[Sample]:
        """Read the samples of a user's file or folder, for prediction.

        Each has its `Origin`, or is numbered, and the target IGNORE where none is known. ValueError
        for a task that does not read files.
        """
        raise ValueError(
            f"{tasks.called(self)} has no samples to read from {path}: the task has no method "
            "`read`; structnet draw run=DIR sample=N shows predictions for its own data"
        )

    def read_text(self, text: Located, topology: Topology) -> Sample:
        """Make a sample of a user's text, for prediction; ValueError names its path and line."""
        name = tasks.called(self)
        way_out = "; structnet predict run=DIR path=FILE reads files" if self.reads_files else ""
        raise ValueError(f"{name} does not read texts: the task has no method `read_text`{way_out}")

    def read_record(self, record: Mapping[str, Any], place: Located, topology: Topology) -> Sample:
        """Make a sample of an object as JSON holds it, in the task's own format, for prediction.

        By default this is `{"text": ...}`, of a task that reads texts. ValueError, which names the
        place and the key, for what is none.
        """
        if not self.reads_records:
            raise ValueError(
                f"{tasks.called(self)} makes no samples of JSON objects: the task has neither a "
                "method `read_record` nor `read_text`"
            )
        text = record.get("text")
        if not isinstance(text, str) or len(record) > 1:
            raise ValueError(
                f'{place.path}, line {place.line}: expected {{"text": "..."}} alone, got '
                f"an object with {repr(list(record))[:200]}"
            )
        return self.read_text(Origin(place.path, place.line, text), topology)

    def read_data(self, data: Any, topology: Topology) -> Iterator[Sample]:
        """Make samples of what a user has in Python, for `sn.Run.predict`.

        By default this is a data frame or a sequence: of texts, for `read_text`; of rows or
        mappings, for `read_record`; of paths, for `read`; and of (structure, x) or (structure, x,
        y), as `sn.Sample` has them. ValueError, which names its place, for anything else.
        """
        for number, one in enumerate(_each(data), start=1):
            place = Origin("data", number, "")
            if isinstance(one, Sample):
                yield one
            elif isinstance(one, Path):
                yield from self.read(one, topology)
            elif isinstance(one, str):
                yield self.read_text(replace(place, text=one), topology)
            elif isinstance(one, Mapping):
                yield self.read_record(one, replace(place, text=repr(dict(one))), topology)
            elif isinstance(one, tuple) and len(one) in (2, 3):
                structure, x, y = (*one, IGNORE)[:3]
                yield Sample(structure, x, y, origin=replace(place, text=f"sample {number - 1}"))
            else:
                raise ValueError(
                    f"data, row {number}: {tasks.called(self)} reads texts, paths, mappings and "
                    f"(structure, x), got {type(one).__name__}"
                )

    @property
    def no_stream(self) -> str | None:
        """Why the nodes of a record are no steps that follow those of the record before.

        None where they are, as words of a text that comes bit by bit.
        """
        return None

    @property
    def reads_records(self) -> bool:
        """Whether the task makes samples of JSON objects."""
        return self.reads_texts or type(self).read_record is not Predicting.read_record

    @property
    def reads_files(self) -> bool:
        """Whether the task reads samples from a user's files."""
        return type(self).read is not Predicting.read

    @property
    def reads_texts(self) -> bool:
        """Whether the task reads samples from a user's texts."""
        return type(self).read_text is not Predicting.read_text

    def commands(self, topology: Topology) -> Iterator[Sequence[str]]:
        """Commands to try with a trained net, each with its arguments but for run=DIR."""
        if self.reads_texts:
            yield "predict", "text=TEXT"
        if self.reads_files:
            yield "predict", "path=FILE_OR_FOLDER"
        if self.generate is not None:
            yield "generate", *["out=samples.png"] * (self.generates == "picture")

    def in_units(self, output: Any, batch: Batch) -> Any:
        """The net's output as predictions are read from it, by default as it is.

        Such as numbers in their unit, of a task whose samples each have a scale of their own.
        """
        return output

    def answer(self, net: nn.Module, batch: Batch) -> Sequence[Answer] | None:
        """What a net answers for every sample, where that is not one of `classes`, for prediction.

        Such as a text that it writes, with its probability and, to be shown in its place, a
        drawing; of a task that searches for a class, that class. None where it is one or a number.
        """
        return None


def _each(data: Any) -> Iterable[Any]:
    """The rows of a data frame, or of a sequence; a text, a path or a mapping is one row."""
    if library_of(data) is not None:
        return rows_of(data)
    return [data] if isinstance(data, str | Path | Mapping | Sample) else data
