"""How far a trained net's numbers are off those of its task's own data, the furthest first."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

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

    def as_dict(self) -> dict[str, Any]:
        named = {} if self.target is None else {"target": self.target}
        off = self.predicted - self.true
        numbers = {"true": self.true, "predicted": self.predicted, "off": off}
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
        name = run.config["task"]["name"]
        raise ValueError(
            f"task {name!r} predicts more than numbers of samples or nodes, which structnet errors "
            "compares: see its figures by structnet test run=DIR"
        )
    off: list[list[Tensor]] = [[] for _ in task.outputs or [None]]
    worst: list[Off] = []
    batch_nodes = run.config["trainer"]["batch_nodes"]
    batches: Any = loader(samples, run.topology, batch_nodes=batch_nodes, group=task.group)
    with torch.inference_mode():
        for indices, batch in zip(batches.batch_sampler, batches, strict=True):
            values = task.values(net(batch).double())
            if not values.isfinite().all():
                raise ValueError(
                    "the net gives nan or infinity, with which nothing is compared; train it anew, "
                    "with a smaller trainer.learning_rate"
                )
            y = batch.y.double().reshape(len(values), -1)
            values = values.reshape(y.shape)
            for column, some in enumerate((values - y).abs().unbind(1)):
                off[column].append(some[~y[:, column].isnan()])
            worst = heapq.nlargest(
                most, [*worst, *_off(run, task, batch, indices, values, y, most)]
            )
    names = task.outputs or (None,)
    spreads = [
        _spread(name, torch.cat(some), task.unit) for name, some in zip(names, off, strict=True)
    ]
    misses = [
        Miss(**place_of(run, samples[one.sample], one.sample, one.node),
             target=names[one.column], true=one.true, predicted=one.predicted)
        for one in worst
    ]  # fmt: skip
    return Misses([one for one in spreads if one.known], misses)


def _off(
    run: Run, task: Regression, batch: Batch, indices: Sequence[int], values: Tensor, y: Tensor,
    most: int,
) -> Iterator[Off]:  # fmt: skip
    """The `most` numbers of a batch that are off by the most standard deviations."""
    scale = torch.tensor(task.scale, dtype=torch.float64).reshape(-1, 2)
    off = torch.where(y.isnan(), -1.0, (values - y).abs() / scale[:, 1])
    for at in off.flatten().topk(min(most, off.numel())).indices.tolist():
        row, column = divmod(at, off.shape[1])
        if off[row, column] >= 0:
            number, node = row_in(run, batch, len(values), row)
            true, predicted = float(y[row, column]), float(values[row, column])
            yield Off(float(off[row, column]), indices[number], node, column, true, predicted)


def _spread(target: str | None, off: Tensor, unit: str) -> Spread:
    ordered = off.sort().values
    # The smallest that at least so many tenths are not above.
    at = [-(-len(off) * tenths // 10) - 1 for tenths in (5, 9, 10)]
    half, nine_tenths, most = (float(ordered[one]) if len(off) else 0.0 for one in at)
    return Spread(target, len(off), half, nine_tenths, most, unit)
