"""Tasks over data that is given in Python, as `sn.fit` makes them: classes, or numbers."""

import abc
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from structnet.data.batch import Batch, Located, Sample
from structnet.data.cross_entropy import IGNORE
from structnet.data.frames import library_of, rows_of
from structnet.data.regression import Regression
from structnet.data.rows import Row, placed, read_rows
from structnet.data.splits import Splits
from structnet.data.task import Task
from structnet.data.vocabulary import Vocabulary
from structnet.registry import tasks
from structnet.topology.base import Topology

# The names of classes that are ordered by their value.
INTEGER = re.compile(r"-?[0-9]{1,18}")
Kind = Literal["sequence", "tree", "grid", "graph", "undirected"]


class Given(Task):
    """Rows that are given in Python, each a structure with an input and a target.

    Its options say of what form the rows are, so that the net can be built again without them.

    Arguments:
        kind: the kind of structure.
        per_node: whether every node has a target, not every structure.
        features: the number of features of a node; null for words.
        edge_features: that of an edge; null for none.
        batches: an epoch has about this number of batches or more, as a batch has at most this
            part of all nodes: 32 for a 32nd.
    """

    takes_data: ClassVar[bool] = True

    def __init__(
        self,
        *,
        kind: Kind = "sequence",
        per_node: bool = False,
        features: int | None = None,
        edge_features: int | None = None,
        batches: int = 32,
    ):
        if batches < 1:
            raise ValueError(f"task.batches is at least 1, got {batches}")
        self.min_batches = batches
        self.structures = (kind,)  # pyright: ignore[reportAttributeAccessIssue]
        self.per_node, self.input_size, self.edge_size = per_node, features, edge_features

    def scores_nodes(self, topology: Topology) -> bool:
        return self.per_node

    def find(self) -> None:
        """ValueError if no data is given."""
        if self.data is None:
            raise ValueError(
                f"{tasks.called(self)} has no files: its data was given in Python, by "
                "sn.fit(data, ...), and is not kept with the run; give it there again, with "
                "resume=DIR to go on, or use run.predict(data)"
            )

    def read_rows(self) -> dict[str, list[Row]]:
        """The rows of every split, checked; ValueError names the row."""
        self.find()
        return {name: list(self._checked(rows, name)) for name, rows in self.data.items()}

    def read_data(self, data: Any, topology: Topology) -> Iterator[Sample]:
        """The samples of rows, of which targets need not be known."""
        rows = rows_of(data) if library_of(data) is not None else data
        for row in self._checked(rows, "data"):
            yield self._sample(row, row.origin)

    def read_record(self, record: Mapping[str, Any], place: Located, topology: Topology) -> Sample:
        """A sample of `{"structure": ..., "x": ...}`, or of edge_index, num_nodes and x."""
        (row,) = self._checked([record], f"{place.path}, line {place.line}")
        return self._sample(row, place)

    def _checked(self, rows: Iterable[Any], of: str) -> Iterator[Row]:
        """Rows that fit the task's options; ValueError, which begins with the place."""
        for row in read_rows(rows, of, self.per_node):
            with placed(row.of, row.number):
                self._check(row)
            yield row

    def _check(self, row: Row) -> None:
        found = None if isinstance(row.x, list) else row.x.shape[1]
        if found != self.input_size:
            has, takes = (
                "words" if size is None else f"{size} features" for size in (found, self.input_size)
            )
            raise ValueError(f"x has {has} for a node, the others have {takes}")
        edges = None if row.edge_x is None else row.edge_x.shape[1]
        if edges != self.edge_size:
            raise ValueError(f"edge_x has {edges} features, those of the others {self.edge_size}")
        if row.y is None:
            return
        many = len(row.y) if isinstance(row.y, list) else 1
        if many != (len(row.x) if self.per_node else 1):
            wanted = f"{len(row.x)}, one for every node" if self.per_node else "one"
            raise ValueError(f"y has {many} targets, expected {wanted}")

    def _sample(self, row: Row, origin: Located) -> Sample:
        x, y = row.x, row.y if isinstance(row.y, list) else [row.y]
        if isinstance(x, list):
            x = (self.vocabulary or Vocabulary({})).tokens(x)
        if self.per_node and row.y is None:
            y = [None] * len(x)
        with placed(row.of, row.number):
            targets = np.array([self._target(one) for one in y])
        target = targets if self.per_node else targets[0]
        return Sample(row.structure, x, target, origin=origin, edge_x=row.edge_x)

    @abc.abstractmethod
    def _target(self, value: Any) -> Any:
        """A target as the loss reads it."""

    def _samples(self, rows: Mapping[str, Sequence[Row]]) -> dict[str, list[Sample]]:
        return {
            name: [self._sample(row, row.origin) for row in some] for name, some in rows.items()
        }

    def _learn_words(self, train: Sequence[Row]) -> None:
        if self.vocabulary is None and self.input_size is None:
            words = (word for row in train for bag in row.x for word in bag)
            self.vocabulary = Vocabulary.count(words, 1)


@tasks.register("given_classes")
class GivenClasses(Given):
    """A class for every structure, or for every node, of data that is given in Python."""

    def load(self, topology: Topology) -> Splits:
        rows = self.read_rows()
        self._learn_words(rows["train"])
        found = {name: list(_names(some)) for name, some in rows.items()}
        self.classes = self.classes or _ordered(found["train"])
        if not self.classes:
            raise ValueError("no row of train has a class: give y")
        others = (name for names in found.values() for name in names)
        self.unseen = _ordered([name for name in others if name not in self.classes])
        self._numbers = {name: i for i, name in enumerate([*self.classes, *self.unseen])}
        samples = self._samples(rows)
        self._common = Counter(found["train"]).most_common(1)[0][0]
        self._tested = found["test"]
        return Splits(samples, vocabulary=self.vocabulary, classes=list(self.classes))

    def baselines(self) -> dict[str, dict[str, float]]:
        right = self._tested.count(self._common)
        return {"majority": {"accuracy": right / max(1, len(self._tested))}}

    def _target(self, value: Any) -> int:
        if not hasattr(self, "_numbers"):
            self._numbers = {name: i for i, name in enumerate(self.classes)}
        return IGNORE if is_unknown(value) else self._numbers.get(class_name(value), IGNORE)


@tasks.register("given_numbers")
class GivenNumbers(Given, Regression):
    """A number for every structure, or for every node, of data that is given in Python.

    Arguments:
        loss: of the numbers in standard deviations: their squared error, the absolute one, or
            huber, the squared one up to 1 and the absolute one above.
    """

    def __init__(self, *, loss: Literal["squared", "absolute", "huber"] = "squared", **given: Any):
        super().__init__(**given)
        self.measure = loss

    def load(self, topology: Topology) -> Splits:
        rows = self.read_rows()
        self._learn_words(rows["train"])
        samples = self._samples(rows)
        y = {name: np.hstack([one.y for one in some]) for name, some in samples.items()}
        self._mean = float(np.nanmean(y["train"])) if len(y["train"]) else 0.0
        self._tested = y["test"][~np.isnan(y["test"])]
        return Splits(samples, vocabulary=self.vocabulary, scale=self.scale_of(y["train"]))

    def baselines(self) -> dict[str, dict[str, float]]:
        errors = self._tested - self._mean
        return {
            "mean": {
                "rmse": float(np.sqrt(np.mean(errors**2))),
                "mae": float(np.abs(errors).mean()),
            }
        }

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        errors = {"squared": F.mse_loss, "absolute": F.l1_loss, "huber": F.huber_loss}
        return self.mean_of_known(errors[self.measure], output, batch)

    def _target(self, value: Any) -> np.float64:
        if isinstance(value, str):
            raise ValueError(f"y is the text {value!r}, of a number: take loss='cross_entropy'")
        return np.float64(np.nan if value is None else value)


def is_unknown(value: Any) -> bool:
    """Whether a target is none: None, NaN or `sn.IGNORE`."""
    return value is None or value != value or (type(value) is int and value == IGNORE)


def class_name(value: Any) -> str:
    """The name of a class: 2 and 2.0 are one."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _names(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        for value in row.y if isinstance(row.y, list) else [row.y]:
            if not is_unknown(value):
                yield class_name(value)


def _ordered(names: Sequence[str]) -> list[str]:
    """Names once each, numbers by their value."""
    found = sorted(set(names))
    return sorted(found, key=int) if all(INTEGER.fullmatch(one) for one in found) else found
