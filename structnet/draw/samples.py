"""What a picture shows of a task's sample: names, targets, and a net's predictions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from structnet.data.batch import Sample, collate
from structnet.data.cross_entropy import IGNORE
from structnet.data.drawing import Drawing
from structnet.data.task import Task
from structnet.draw.picture import Look, shortened
from structnet.nn.head import Scores
from structnet.nn.recurrence import Recurrence
from structnet.registry import nets
from structnet.registry.suggest import did_you_mean
from structnet.run.run import Run
from structnet.topology.base import Topology
from structnet.training.predict import predictions, scored

SPLITS = ("train", "validation", "test")


def find_samples(
    task: Task, topology: Topology, split: str, number: int
) -> tuple[list[Sample], int]:
    """The group of samples that a sample is in, and its index in the group.

    Raises ValueError if there is no such split, or no sample of that number in it.
    """
    splits = task.keep(task.load(topology))
    if split not in splits:
        raise ValueError(f"no split {split!r} {did_you_mean(split, splits)}")
    samples = splits[split]
    if number >= len(samples):
        raise ValueError(
            f"no sample {number} in split {split!r}, which has {len(samples)}, numbered from 0 on"
        )
    first = number - number % task.group
    return [samples[i] for i in range(first, first + task.group)], number - first


def drawing_of(
    task: Task, topology: Topology, net: nn.Module | None, samples: Sequence[Sample], at: int
) -> Drawing | None:
    """The task's own drawing of a sample, with what a net gives for it; None without one.

    Arguments:
        task: of the samples.
        topology: plans them.
        net: the trained net; None to draw the data alone.
        samples: a group of the task's samples.
        at: the index of the sample to show in the group.
    """
    if net is None:
        return task.drawing(samples[at], None)
    batch = collate(samples, topology)
    with torch.inference_mode():
        if batch.parts:
            # What is drawn comes with the answer.
            answers = task.answer(net, batch) or ()
            return next((one[2] for one in answers[at : at + 1] if len(one) > 2), None)
        scores = scored(net(batch))[0]
    if len(scores) != batch.num_nodes:
        return None
    return task.drawing(samples[at], scores[slice(*batch.ptr[at : at + 2].tolist())])


def look_of_data(task: Task, sample: Sample, title: str) -> Look:
    """Names of the nodes, coloured by target if there is one per node, else by level."""
    names = task.node_names(sample)
    y = np.asarray(sample.y)
    title = "; ".join([title, *_where(sample), *_target(task, y)])
    if len(y.reshape(-1)) != sample.num_nodes or y.ndim == 0:
        return Look(title, names)
    values = y.reshape(-1).astype(np.float64)
    if task.predicts_numbers:
        return Look(title, names, values, f"target, {task.unit}" if task.unit else "target")
    values[values == IGNORE] = np.nan
    classes = _few(task) if np.nanmax(values, initial=0) < len(task.classes) else ()
    return Look(title, names, values, "target", classes)


def look_of_run(run: Run, net: nn.Module, samples: Sequence[Sample], at: int, title: str) -> Look:
    """Names of the nodes, coloured by the net's prediction for each, or by the norm of its state.

    The prediction for a node is shown as a number, or as the probability of a class: of the one
    that the task searches for, of the last of two, or else of the most probable, which is named
    with the node.

    Arguments:
        run: the net's run.
        net: the trained net.
        samples: a group of the task's samples.
        at: the index of the sample to show in the group.
        title: of the picture.
    """
    task, sample = run.task, samples[at]
    names = task.node_names(sample)
    batch = collate(samples, run.topology)
    output, h = _outputs(net, batch)
    output = task.in_units(output, batch)
    title = "; ".join([title, *_where(sample), *_target(task, np.asarray(sample.y))])
    mine = slice(*batch.ptr[at : at + 2].tolist())
    if batch.parts:
        # The output may be about these.
        answers = task.answer(net, batch) or ()
        said = [f"answer: {shortened(answer, 80)}" for answer, *_ in answers[at : at + 1]]
        title = "; ".join([title, *said])
        return Look(title, names, h[mine].norm(dim=1).numpy(), "norm of the state")
    scores = task.sample_output(output, batch)
    has_classes = scores.shape[1] == len(task.classes) > 1
    if (has_classes or task.predicts_numbers) and len(scores) * task.group == len(samples):
        title += f"; prediction: {predictions(task, scores, [sample.origin])[0].verdict}"
    if len(output) == batch.num_nodes and task.predicts_numbers and not task.outputs:
        unit = f", {task.unit}" if task.unit else ""
        return Look(title, names, task.values(output[mine]).numpy(), f"prediction{unit}")
    if len(output) != batch.num_nodes or output.shape[1] != len(task.classes):
        return Look(title, names, h[mine].norm(dim=1).numpy(), "norm of the state")
    found = output[mine].softmax(dim=1)
    if len(task.classes) > 2 and task.wanted is None:
        best: list[int] = found.argmax(1).tolist()
        said = [task.classes[one] for one in best]
        if names is not None:
            said = [
                f"{name}: {one}" if name else one for name, one in zip(names, said, strict=True)
            ]
        return Look(title, said, found.amax(1).numpy(), "probability of the class")
    label = task.wanted or task.classes[-1]
    values = found[:, list(task.classes).index(label)].numpy()
    return Look(title, names, values, f"probability of {label!r}")


def _outputs(net: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
    """The net's output, and the states (N, D) of its last recurrence over the batch's nodes."""
    layers = [module for module in net.modules() if isinstance(module, Recurrence)]
    if not layers:
        raise ValueError(f"{nets.called(net)} has no recurrence, and no states to draw")
    seen: list[Any] = []

    def keep(layer: Any, given: Any, h: Any) -> None:
        # Other layers go over the nodes of a part.
        if not batch.parts or any(plan is own for plan in given[1] for own in batch.plans):
            seen.append(h)

    looked_at = layers if batch.parts else layers[-1:]
    hooks = [layer.register_forward_hook(keep) for layer in looked_at]
    with torch.inference_mode():
        output = net(batch)
    for hook in hooks:
        hook.remove()
    if isinstance(output, Scores):
        output = output.log_probs()
    h = seen[-1]
    return output, h[0] if isinstance(h, tuple) else h


def _where(sample: Sample) -> list[str]:
    return [] if sample.origin is None else [shortened(sample.origin.text, 80)]


def _target(task: Task, y: Any) -> list[str]:
    """The target of the whole sample, if it has one."""
    if y.size != 1:
        return []
    (target,) = y.reshape(-1).tolist()
    if task.predicts_numbers:
        return [] if np.isnan(target) else [f"target: {target:.5g} {task.unit}".rstrip()]
    if not task.classes or not 0 <= target < len(task.classes):
        return []
    return [f"target: {task.classes[int(target)]}"]


def _few(task: Task) -> Sequence[str]:
    """The classes, if there are few enough for the colour bar."""
    return task.classes if len(task.classes) <= 12 else ()
