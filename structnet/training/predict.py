"""Predictions of a trained net for a user's files: one per sample, or one per node."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from structnet.data.batch import Batch, Located, Sample
from structnet.data.loader import loader
from structnet.data.regression import Regression
from structnet.data.task import Task
from structnet.run.run import Run
from structnet.system.terminal import visible
from structnet.training.samples import read_samples, warn_of_run


@dataclass(frozen=True)
class Prediction:
    """The prediction for a sample or for one of its nodes: a class or a number.

    Arguments:
        origin: where the sample comes from.
        label: the class.
        probability: of the class.
        value: the number, in place of a class.
        unit: of the number.
        node: the index of the node; None for a prediction for the whole sample.
        name: of the node, if it has one.
    """

    origin: Located
    label: str | None = None
    probability: float | None = None
    value: float | None = None
    unit: str = ""
    node: int | None = None
    name: str | None = None

    def __str__(self) -> str:
        place = f"{self.origin.path}:{self.origin.line}"
        if self.node is None:
            return visible(f"{place}: {self.origin.text}")
        return visible(f"{place}: node {self.node}" + (f" {self.name}" if self.name else ""))

    @property
    def verdict(self) -> str:
        if self.value is not None:
            return visible(f"{self.value:.5g} {self.unit}".rstrip())
        return visible(f"{self.label}, {self.probability:.3f}")

    def as_dict(self) -> dict[str, Any]:
        place = {
            "file": str(self.origin.path),
            "line": self.origin.line,
            "text": self.origin.text,
        }
        if self.node is not None:
            place |= {"node": self.node, "name": self.name}
        if self.probability is None:
            return {**place, "value": self.value, "unit": self.unit}
        return {**place, "class": self.label, "probability": round(self.probability, 6)}


def predict(run: Run, net: nn.Module, path: Path) -> list[Prediction]:
    """Predictions for the samples in a file or folder, or for each of their nodes.

    If the task searches for a class, predictions are those of its probability, the largest first.
    Otherwise they are the most probable classes, or numbers, in the order read.
    """
    task = run.task
    samples = read_samples(run, path)
    warn_of_run(run, samples, str(path))
    batch_nodes = run.config["trainer"]["batch_nodes"]
    batches: Any = loader(samples, run.topology, batch_nodes=batch_nodes, group=task.group)
    per_node = task.predicts_nodes(run.topology)
    found: dict[int, list[Prediction]] = {}
    with torch.inference_mode():
        for indices, batch in zip(batches.batch_sampler, batches, strict=True):
            decided = [samples[index] for index in indices[:: task.group]]
            output = net(batch)
            say = _of_nodes if per_node and len(output) == batch.num_nodes else _of_samples
            said = say(task, output, batch, decided)
            found.update(zip(indices[:: task.group], said, strict=True))
    predictions = [one for i in range(0, len(samples), task.group) for one in found[i]]
    if task.wanted is not None:
        predictions.sort(key=lambda prediction: -(prediction.probability or 0))
    return predictions


def _of_samples(
    task: Task, output: Tensor, batch: Batch, samples: Sequence[Sample]
) -> Iterator[list[Prediction]]:
    origins = [sample.origin for sample in samples]
    return ([one] for one in predictions(task, task.sample_output(output, batch), origins))


def _of_nodes(
    task: Task, output: Tensor, batch: Batch, samples: Sequence[Sample]
) -> Iterator[list[Prediction]]:
    for sample, scores in zip(samples, output.split(batch.ptr.diff().tolist()), strict=True):
        names = task.node_names(sample) or [None] * len(scores)
        said = predictions(task, scores, [sample.origin] * len(scores))
        yield [replace(s, node=i, name=n) for i, (s, n) in enumerate(zip(said, names, strict=True))]


def predictions(task: Task, output: Tensor, origins: Sequence[Any]) -> list[Prediction]:
    """Predictions from the net's outputs (n, D), each with the origin of its sample."""
    if isinstance(task, Regression):
        values = zip(origins, task.values(output).tolist(), strict=True)
        return [Prediction(origin, value=value, unit=task.unit) for origin, value in values]
    scores = output.softmax(dim=1)
    if task.wanted is None:
        labels = scores.argmax(dim=1).tolist()
    else:
        labels = [list(task.classes).index(task.wanted)] * len(scores)
    return [
        Prediction(origin, task.classes[label], row[label])
        for origin, label, row in zip(origins, labels, scores.tolist(), strict=True)
    ]
