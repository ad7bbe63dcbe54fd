"""What a trained net gets wrong of its task's own data: which class for which, the worst first."""

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from structnet.data.batch import Batch, Sample
from structnet.data.loader import loader
from structnet.data.task import IGNORE, Task
from structnet.run.run import Run
from structnet.training.places import Place, place_of, row_in
from structnet.training.predict import scored


class Wrong(NamedTuple):
    """A wrong decision: its cross entropy, sample, node or None, both classes, and odds."""

    nats: float
    sample: int
    node: int | None
    true: int
    predicted: int
    probability: float


@dataclass(frozen=True)
class Mistake(Place):
    """A wrong class of a sample or of one of its nodes.

    Arguments:
        true: its class.
        predicted: the class that the net gives.
        probability: of the class that the net gives.
        true_probability: of its class; 0 for one that the net does not know.
    """

    true: str
    predicted: str
    probability: float
    true_probability: float

    def as_dict(self) -> dict[str, Any]:
        return {
            **super().as_dict(),
            "class": self.true,
            "class_probability": self.true_probability,
            "predicted": self.predicted,
            "probability": self.probability,
        }


@dataclass
class Mistakes:
    """The mistakes of a net on a split.

    Arguments:
        decided: the number of decisions whose class is known.
        confusions: how often a class was taken for another, by both.
        worst: the mistakes with the largest cross entropy, the largest first.
    """

    decided: int = 0
    confusions: Counter[tuple[str, str]] = field(default_factory=Counter)
    worst: list[Mistake] = field(default_factory=list)


def find_mistakes(run: Run, net: nn.Module, samples: Sequence[Sample], most: int) -> Mistakes:
    """The mistakes of a net on samples, the worst `most` of them one by one.

    ValueError for a task that does not choose among classes.
    """
    task, found = run.task, Mistakes()
    _check(run)
    names, worst = [*task.classes, *task.unseen], []
    batch_nodes = run.config["trainer"]["batch_nodes"]
    batches: Any = loader(samples, run.topology, batch_nodes=batch_nodes, group=task.group)
    with torch.inference_mode():
        for indices, batch in zip(batches.batch_sampler, batches, strict=True):
            rows, labels, y = _decisions(run, net, batch)
            found.decided += int((y != IGNORE).sum())
            wrong = list(_wrong(run, batch, indices, rows, labels, y))
            pairs = ((names[one.true], names[one.predicted]) for one in wrong)
            found.confusions.update(pairs)
            worst = heapq.nlargest(most, [*worst, *wrong])
    found.worst = [_mistake(run, samples[one.sample], one, names) for one in worst]
    return found


def _check(run: Run) -> None:
    task, name = run.task, run.config["task"]["name"]
    if not task.classes:
        raise ValueError(f"task {name!r} has no classes; structnet errors lists wrong classes")
    writes = type(task).answer is not Task.answer and task.wanted is None
    if writes or (task.generate is not None and task.generates == "text"):
        raise ValueError(
            f"task {name!r} reads or writes texts or trees as a whole; structnet errors lists the "
            "wrong classes of samples and nodes, structnet draw run=DIR sample=N shows one sample"
        )


def _decisions(run: Run, net: nn.Module, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Scores (n, C), predicted classes (n,) and targets (n,) of what accuracy is measured of."""
    task = run.task
    scores, best = scored(net(batch))
    rows, y = task.measured(scores, batch).get("accuracy", (scores, None))
    if y is None or rows.shape[1] != len(task.classes):
        raise ValueError(
            f"task {run.config['task']['name']!r} has no accuracy over its {len(task.classes)} "
            "classes; structnet errors lists wrong classes"
        )
    return rows, rows.argmax(1) if best is None or len(best) != len(rows) else best, y


def _wrong(
    run: Run, batch: Batch, indices: Sequence[int], rows: Tensor, labels: Tensor, y: Tensor
) -> Iterator[Wrong]:
    logs, classes = rows.log_softmax(1), rows.shape[1]
    at = ((y != IGNORE) & (labels != y)).nonzero()[:, 0]
    for row, true, label in zip(at.tolist(), y[at].tolist(), labels[at].tolist(), strict=True):
        number, node = row_in(run, batch, len(rows), row)
        nats = inf if true >= classes else -float(logs[row, true])
        probability = float(logs[row, label].exp())
        yield Wrong(nats, indices[number], node, true, label, probability)


def _mistake(run: Run, sample: Sample, wrong: Wrong, names: Sequence[str]) -> Mistake:
    return Mistake(
        **place_of(run, sample, wrong.sample, wrong.node),
        true=names[wrong.true],
        predicted=names[wrong.predicted],
        probability=round(wrong.probability, 6),
        true_probability=round(float(torch.tensor(-wrong.nats).exp()), 6),
    )
