"""What a trained net says of a user's files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from structnet.batch import Origin
from structnet.loading import loader
from structnet.regression import Regression
from structnet.run import Run
from structnet.task import Task
from structnet.terminal import visible


@dataclass(frozen=True)
class Prediction:
    """A sample's class and its probability, or its number and the number's unit."""

    origin: Origin
    label: str | None = None
    probability: float | None = None
    value: float | None = None
    unit: str = ""

    def __str__(self) -> str:
        return visible(f"{self.origin.path}:{self.origin.line}: {self.origin.text}")

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
        if self.probability is None:
            return {**place, "value": self.value, "unit": self.unit}
        return {**place, "class": self.label, "probability": round(self.probability, 6)}


def predict(run: Run, net: nn.Module, path: Path) -> list[Prediction]:
    """Predictions for the samples of a file or folder.

    Where the task searches for a class, the samples most probably of it come first; elsewhere
    each sample has its most probable class, or its number, in the order read.
    """
    task = run.task
    samples = list(task.read(path, run.topology))
    batch_nodes = run.config["trainer"]["batch_nodes"]
    batches = loader(samples, run.topology, batch_nodes=batch_nodes, group=task.group)
    found: dict[int, Prediction] = {}
    with torch.inference_mode():
        for indices, batch in zip(batches.batch_sampler, batches, strict=True):
            decided = indices[:: task.group]
            origins = [samples[index].origin for index in decided]
            said = verdicts(task, task.sample_output(net(batch), batch), origins)
            found.update(zip(decided, said, strict=True))
    predictions = [found[index] for index in range(0, len(samples), task.group)]
    if task.wanted is not None:
        predictions.sort(key=lambda prediction: -(prediction.probability or 0))
    return predictions


def verdicts(task: Task, output: Tensor, origins: Sequence[Any]) -> list[Prediction]:
    """What is said of the samples of these origins, given the net's outputs for them."""
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
