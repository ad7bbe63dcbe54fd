"""How far a trained net's numbers are off those of its task's own data, the furthest first."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from structnet.data.batch import Batch, Sample
from structnet.data.loader import loader
from structnet.data.regression import Regression
from structnet.run.run import Run
from structnet.training.places import Place, place_of, row_in


class Off(NamedTuple):
    """A number: by how much it is off in standard deviations, its sample, node or None, column."""

    deviations: float
    sample: int
    node: int | None
    column: int
    true: float
    predicted: float


@dataclass(frozen=True)
class Miss(Place):
    """A number of a sample or of one of its nodes.

    Arguments:
        target: its name, where a task has several.
        true: the number.
        predicted: the number that the net gives.
    """

    target: str | None
    true: float
    predicted: float

    @property
    def off(self) -> float:
        """By how much the net's number is larger."""
        return self.predicted - self.true

    def as_dict(self) -> dict[str, Any]:
        named = {} if self.target is None else {"target": self.target}
        numbers = {"true": self.true, "predicted": self.predicted, "off": self.off}
        return {**super().as_dict(), **named, **numbers}


@dataclass(frozen=True)
class Spread:
    """How far the numbers of a target are off, in its unit.

    Arguments:
        target: its name, where a task has several.
        known: how many there are.
        half: by how much half of them are off at most.
        nine_tenths: by how much nine of ten are.
        most: by how much the furthest is.
        unit: of the numbers, if the task says it.
    """

    target: str | None
    known: int
    half: float
    nine_tenths: float
    most: float
    unit: str

    def text(self, split: str) -> str:
        """A sentence about the numbers of a split."""
        name = "" if self.target is None else f"{self.target}: "
        half = f"{self.half:.3g} {self.unit}".rstrip()
        return (
            f"{name}of {self.known:,} numbers in {split}, half are off by at most {half}, nine of "
            f"ten by {self.nine_tenths:.3g}, all by {self.most:.3g}"
        )


@dataclass(frozen=True)
class Misses:
    """How far the numbers of a net are off on a split.

    Arguments:
        spreads: of every target with known numbers.
        worst: the numbers that are off by the most standard deviations of the training targets, the
            furthest first.
    """

    spreads: list[Spread]
    worst: list[Miss]


def find_misses(run: Run, net: nn.Module, samples: Sequence[Sample], most: int) -> Misses:
    """How far a net's numbers are off on samples, the `most` furthest one by one.

    ValueError for a task that is no `sn.Regression`, and for numbers that are not finite.
    """
    task = run.task
    if not isinstance(task, Regression):
        raise ValueError(
            "structnet errors compares numbers of samples and nodes, and task "
            f"{run.config['task']['name']!r} predicts something else: structnet test run=DIR "
            "prints its figures"
        )
    names: Sequence[str | None] = task.outputs or (None,)
    off: list[list[Tensor]] = [[] for _ in names]
    worst: list[Off] = []
    batch_nodes = run.config["trainer"]["batch_nodes"]
    batches: Any = loader(samples, run.topology, batch_nodes=batch_nodes, group=task.group)
    with torch.inference_mode():
        for indices, batch in zip(batches.batch_sampler, batches, strict=True):
            found, known = _off(run, task, net(batch), batch, indices, most)
            worst = heapq.nlargest(most, [*worst, *found])
            for column, some in zip(off, known, strict=True):
                column.append(some)
    spreads = [
        _spread(name, torch.cat(some), task.unit) for name, some in zip(names, off, strict=True)
    ]
    misses = [
        Miss(**place_of(run, samples[one.sample], one.sample, one.node),
             target=names[one.column], true=one.true, predicted=one.predicted)
        for one in worst
    ]  # fmt: skip
    return Misses([one for one in spreads if one is not None], misses)


def _off(
    run: Run, task: Regression, output: Tensor, batch: Batch, indices: Sequence[int], most: int
) -> tuple[list[Off], list[Tensor]]:
    """The `most` numbers of a batch that are furthest off, and by how much all of each target are.

    The furthest are those by the most standard deviations of the training targets.
    """
    values = task.values(output.double())
    if not values.isfinite().all():
        raise ValueError(
            "the net gives nan or infinity, so that there is nothing to compare; train it again, "
            "with a smaller trainer.learning_rate"
        )
    y = batch.y.double().reshape(len(values), -1)
    values = values.reshape(y.shape)
    off, known = (values - y).abs(), ~y.isnan()
    deviations = torch.tensor(task.scale, dtype=torch.float64).reshape(-1, 2)[:, 1]
    at, far = known.nonzero(), (off / deviations)[known]
    found = []
    for number in far.topk(min(most, len(far))).indices.tolist():
        row, column = at[number].tolist()
        sample, node = row_in(run, batch, len(values), row)
        true, predicted = float(y[row, column]), float(values[row, column])
        found.append(Off(float(far[number]), indices[sample], node, column, true, predicted))
    return found, [off[known[:, column], column] for column in range(off.shape[1])]


def _spread(target: str | None, off: Tensor, unit: str) -> Spread | None:
    """How far numbers are off; None if there are none."""
    if not len(off):
        return None
    # Each is the error of one of the numbers, as numpy's other methods lie between two.
    half, nine_tenths, most = np.quantile(off, (0.5, 0.9, 1.0), method="inverted_cdf").tolist()
    return Spread(target, len(off), half, nine_tenths, most, unit)
