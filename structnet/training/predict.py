"""Predictions of a trained net for a user's files and texts: one per sample, or one per node."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from structnet.data.batch import Batch, Located, Origin, Sample
from structnet.data.drawing import Answer, Drawing
from structnet.data.loader import loader
from structnet.data.task import Task
from structnet.run.run import Run
from structnet.system.changes import Changes
from structnet.system.terminal import visible
from structnet.training.samples import read_samples, structure_texts, warn_of_run
from structnet.training.weighing import Shares, shares, weighed

# The most characters of a text that are shown in a line.
SHOWN = 300


@dataclass(frozen=True)
class Prediction:
    """The prediction for a sample or for one of its nodes: a class or a number.

    Arguments:
        origin: where the sample comes from.
        label: the class, or the task's answer.
        probability: of the label.
        value: the number, in place of a class.
        values: the numbers by name, where there are several.
        unit: of the number.
        node: the index of the node; None for a prediction for the whole sample.
        name: of the node, if it has one.
        given: the class that the sample or node has, if it is known.
        probabilities: of all classes, of a sample whose task searches for no class.
        kind: of the sample, where the task has several.
        words: the names of a sample's nodes, each with its share in what was scored, where the
            readout weighs nodes; they add up to 1. Those of the sample's parts follow, each by
            itself.
        drawing: of a sample whose task has one.
    """

    origin: Located
    label: str | None = None
    probability: float | None = None
    value: float | None = None
    values: dict[str, float] | None = None
    unit: str = ""
    node: int | None = None
    name: str | None = None
    given: str | None = None
    probabilities: dict[str, float] | None = None
    kind: str | None = None
    words: Sequence[tuple[str, float]] = ()
    drawing: Drawing | None = None

    def __str__(self) -> str:
        place = f"{self.origin.path}:{self.origin.line}"
        if self.node is None:
            text = self.origin.text
            return visible(f"{place}: {text if len(text) <= SHOWN else f'{text[:SHOWN]}...'}")
        return visible(f"{place}: node {self.node}" + (f" {self.name}" if self.name else ""))

    @property
    def verdict(self) -> str:
        if self.values is not None:
            return visible(", ".join(f"{name} {one:.5g}" for name, one in self.values.items()))
        if self.value is not None:
            return visible(f"{self.value:.5g} {self.unit}".rstrip())
        return visible(f"{self.label}, {self.probability:.3f}{self.comparison}")

    @property
    def comparison(self) -> str:
        """The class that is given, and whether it is another one; "" where none is."""
        if self.given is None:
            return ""
        return visible(f", given {self.given}{'' if self.given == self.label else ' ✗'}")

    @property
    def place(self) -> dict[str, str]:
        """What it is for, by the names of the data's columns; empty where its origin has none."""
        columns = getattr(self.origin, "columns", None)
        return {} if columns is None else columns(self.name)

    def as_dict(self) -> dict[str, Any]:
        place = {
            "file": str(self.origin.path),
            "line": self.origin.line,
            "text": self.origin.text,
        } | self.place
        if self.kind is not None:
            place["kind"] = self.kind
        if self.node is not None:
            place |= {"node": self.node, "name": self.name}
        if self.values is not None:
            found = {**place, "values": self.values}
        elif self.probability is None:
            found = {**place, "value": self.value, "unit": self.unit}
        else:
            found = {**place, "class": self.label, "probability": round(self.probability, 6)}
        if self.given is not None:
            found |= {"given": self.given, "wrong": self.given != self.label}
        if self.probabilities is not None:
            found["probabilities"] = {
                name: round(value, 6) for name, value in self.probabilities.items()
            }
        if self.words:
            found["words"] = [
                {"word": word, "weight": round(weight, 6)} for word, weight in self.words
            ]
        return found if self.drawing is None else found | self.drawing.as_dict()


def predict(
    run: Run, net: nn.Module, path: Path, changes: Changes | None = None
) -> list[Prediction]:
    """Predictions for the samples in a file or folder, or for each of their nodes.

    If the task searches for a class, predictions are those of its probability, the largest first.
    Otherwise they are the most probable classes, numbers, or the task's answers, in the order read.
    With `changes` they are for samples alone that have lines in it.
    """
    samples = read_samples(run, path)
    if changes is not None:
        samples = [one for one in samples if _touched(one.origin, changes)]
    warn_of_run(run, samples, str(path))
    return _found(run, predict_samples(run, net, samples))


def predict_texts(run: Run, net: nn.Module, texts: Iterable[Origin]) -> list[Prediction]:
    """The same for texts, which the run's task makes samples of; ValueError if it does not."""
    return _found(run, predict_samples(run, net, structure_texts(run, texts)))


def _found(run: Run, predictions: list[Prediction]) -> list[Prediction]:
    """Predictions in the order in which they are shown: the most probable first in a search."""
    if run.task.wanted is None:
        return predictions
    return sorted(predictions, key=lambda one: -(one.probability or 0))


def predict_samples(run: Run, net: nn.Module, samples: Sequence[Sample]) -> list[Prediction]:
    """Predictions for samples, in their order."""
    task = run.task
    batch_nodes = run.config["trainer"]["batch_nodes"]
    batches: Any = loader(samples, run.topology, batch_nodes=batch_nodes, group=task.group)
    found: dict[int, list[Prediction]] = {}
    with torch.inference_mode(), shares(net) as kept:
        for indices, batch in zip(batches.batch_sampler, batches, strict=True):
            decided = [samples[index] for index in indices[:: task.group]]
            said = predict_batch(run, net, batch, decided, kept)
            found.update(zip(indices[:: task.group], said, strict=True))
    return [one for i in range(0, len(samples), task.group) for one in found[i]]


def predict_batch(
    run: Run, net: nn.Module, batch: Batch, decided: Sequence[Sample], kept: list[Shares]
) -> list[list[Prediction]]:
    """The predictions for a batch, sample by sample.

    Arguments:
        run: the run.
        net: its net, in evaluation.
        batch: of one group of samples after the other.
        decided: the first sample of every group.
        kept: what `shares` of the net gives.
    """
    answers = run.task.answer(net, batch)
    if answers is None:
        return read_output(run, net(batch), batch, decided, kept)
    pairs = zip(decided, answers, strict=True)
    return _with_kinds(run.task, [[_answered(sample, answer)] for sample, answer in pairs], decided)


def read_output(
    run: Run, output: Any, batch: Batch, decided: Sequence[Sample], kept: list[Shares]
) -> list[list[Prediction]]:
    """The same, given what the net returned for the batch: scores, or `sn.Scores`."""
    scores, best = scored(run.task.in_units(output, batch))
    if run.task.predicts_nodes(run.topology) and len(scores) == batch.num_nodes:
        said = _of_nodes(run.task, scores, best, batch, decided)
    else:
        said = _of_samples(run.task, scores, batch, decided, kept)
    kept.clear()
    return _with_kinds(run.task, list(said), decided)


def _answered(sample: Sample, answer: Answer) -> Prediction:
    drawing = answer[2] if len(answer) == 3 else None
    origin: Any = sample.origin
    return Prediction(origin, answer[0], answer[1], drawing=drawing)


def _touched(origin: Any, changes: Changes) -> bool:
    """Whether a line of a sample is among changes; it may have several."""
    last = getattr(origin, "end_line", origin.line)
    return changes.touches(Path(origin.path), origin.line, last)


def _with_kinds(
    task: Task, said: list[list[Prediction]], samples: Sequence[Sample]
) -> list[list[Prediction]]:
    """Predictions with the kinds of their samples, of a task that searches for a class."""
    if task.wanted is None or not task.kinds:
        return said
    pairs = zip(said, samples, strict=True)
    return [[replace(one, kind=task.kinds[sample.kind]) for one in some] for some, sample in pairs]


def scored(output: Any) -> tuple[Tensor, Tensor | None]:
    """Scores (n, C), and the classes (n,) where these are not the largest ones of each row."""
    if isinstance(output, Tensor):
        return output, None
    return output.log_probs(), output.best() if output.joint else None


def _of_samples(
    task: Task, output: Tensor, batch: Batch, samples: Sequence[Sample], kept: Sequence[Shares]
) -> Iterator[list[Prediction]]:
    scores = task.sample_output(output, batch)
    said = predictions(task, scores, [sample.origin for sample in samples])
    if task.wanted is None and not task.predicts_numbers:
        for at, row in enumerate(scores.softmax(dim=1).tolist()):
            by_class = dict(zip(task.classes, row, strict=True))
            said[at] = replace(said[at], probabilities=by_class, given=_given(task, samples[at]))
    if task.group == 1:
        pairs = zip(said, weighed(task, batch, samples, kept), strict=True)
        said = [replace(one, words=words) for one, words in pairs]
    if len(output) == batch.num_nodes and task.group == 1:
        parts = output.split(batch.ptr.diff().tolist())
        for at, (sample, part) in enumerate(zip(samples, parts, strict=True)):
            said[at] = replace(said[at], drawing=task.drawing(sample, part))
    return ([one] for one in said)


def _of_nodes(
    task: Task, output: Tensor, best: Tensor | None, batch: Batch, samples: Sequence[Sample]
) -> Iterator[list[Prediction]]:
    sizes = batch.ptr.diff().tolist()
    labels = [None] * len(sizes) if best is None else best.split(sizes)
    for sample, scores, label in zip(samples, output.split(sizes), labels, strict=True):
        names = task.node_names(sample) or [None] * len(scores)
        said = predictions(task, scores, _node_origins(sample), label)
        every = [
            replace(one, node=node, name=name, given=_given(task, sample, node))
            for node, (one, name) in enumerate(zip(said, names, strict=True))
        ]
        shown = task.predicted_nodes(sample)
        yield every if shown is None else [every[node] for node in shown]


def _node_origins(sample: Sample) -> list[Any]:
    """The origin of a sample for each of its nodes, with the line of the node if it is known."""
    lines = getattr(sample.origin, "node_lines", None)
    if lines is None:
        return [sample.origin] * sample.num_nodes
    return [replace(sample.origin, line=line) for line in lines]  # pyright: ignore


def _given(task: Task, sample: Sample, node: int | None = None) -> str | None:
    """The class of a sample or of one of its nodes; None if it is not known."""
    y = np.asarray(sample.y)
    is_class = np.issubdtype(y.dtype, np.integer) and y.ndim == int(node is not None)
    if task.wanted is not None or task.predicts_numbers or not is_class:
        return None
    names, target = [*task.classes, *task.unseen], int(y if node is None else y[node])
    return names[target] if 0 <= target < len(names) else None


def predictions(
    task: Task, output: Tensor, origins: Sequence[Any], best: Tensor | None = None
) -> list[Prediction]:
    """Predictions from the net's outputs (n, D), each with the origin of its sample.

    Arguments:
        task: of the net.
        output: the scores, or numbers.
        origins: of the samples (n,).
        best: the classes (n,) where the net decides them together; else the most probable ones.
    """
    if task.predicts_numbers:
        pairs = zip(origins, task.values(output.double()).tolist(), strict=True)
        if task.outputs:
            every = ((origin, zip(task.outputs, row, strict=True)) for origin, row in pairs)
            return [Prediction(origin, values=dict(named)) for origin, named in every]
        return [Prediction(origin, value=value, unit=task.unit) for origin, value in pairs]
    scores = output.softmax(dim=1)
    if task.wanted is None:
        labels = (scores.argmax(dim=1) if best is None else best).tolist()
    else:
        labels = [list(task.classes).index(task.wanted)] * len(scores)
    return [
        Prediction(origin, task.classes[label], row[label])
        for origin, label, row in zip(origins, labels, scores.tolist(), strict=True)
    ]
