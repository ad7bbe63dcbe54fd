"""What a trained net says of a user's files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from structnet.batch import Origin
from structnet.loading import loader
from structnet.run import Run


@dataclass(frozen=True)
class Prediction:
    """A sample's class and its probability."""

    origin: Origin
    label: str
    probability: float

    def __str__(self) -> str:
        return f"{self.origin.path}:{self.origin.line}: {self.origin.text}"

    def as_dict(self) -> dict[str, Any]:
        return {
            "file": str(self.origin.path),
            "line": self.origin.line,
            "text": self.origin.text,
            "class": self.label,
            "probability": round(self.probability, 6),
        }


def predict(run: Run, net: nn.Module, path: Path) -> list[Prediction]:
    """Predictions for the samples of a file or folder.

    Where the task searches for a class, the samples most probably of it come first; elsewhere
    each sample has its most probable class, in the order read.
    """
    task = run.task
    samples = list(task.read(path, run.topology))
    batch_nodes = run.config["trainer"]["batch_nodes"]
    batches = loader(samples, run.topology, batch_nodes=batch_nodes, group=task.group)
    found: dict[int, Prediction] = {}
    wanted = None if task.wanted is None else list(task.classes).index(task.wanted)
    with torch.inference_mode():
        for indices, batch in zip(batches.batch_sampler, batches, strict=True):
            scores = task.sample_output(net(batch), batch).softmax(dim=1)
            best = scores.argmax(dim=1).tolist()
            for index, row, label in zip(
                indices[:: task.group], scores.tolist(), best, strict=True
            ):
                label = label if wanted is None else wanted
                origin = samples[index].origin
                found[index] = Prediction(origin, task.classes[label], row[label])
    predictions = [found[index] for index in range(0, len(samples), task.group)]
    if wanted is not None:
        predictions.sort(key=lambda prediction: -prediction.probability)
    return predictions
