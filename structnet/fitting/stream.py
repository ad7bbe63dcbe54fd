"""A trained net of chains, fed one step at a time in the format of its data."""

from collections.abc import Iterator
from typing import Any

import torch

from structnet.data.batch import Sample, Tokens
from structnet.data.mixed import Mixed
from structnet.nn.stepper import Stepper
from structnet.run.run import Run
from structnet.training.predict import Prediction, predictions, scored
from structnet.training.samples import data_samples


class Spoiled(ValueError):
    """The state of a stream holds what is no number, and so will every later one."""


class Stream:
    """One sequence that a trained net reads as it comes; `Run.stream` makes one.

    ValueError where the net can't be fed so, such as one that also reads from the end.

    Arguments:
        run: the run.
        net: its net.

    Attributes:
        steps: the number of steps that were read.
        stepper: what holds the state: `stepper.state()` and `stepper.load_state` take it away and
            bring it back.
    """

    def __init__(self, run: Run, net: Any):
        if why := why_no_steps(run, net):
            raise ValueError(f"{run.directory} can't be fed step by step: {why}")
        self.run, self.steps = run, 0
        self.stepper: Stepper = net.stepper(1)

    def push(self, record: Any) -> dict[str, Any]:
        """Read the next steps; the prediction after the last of them, as `predict` spells it.

        ValueError for a record that can't be read or has no steps; the stream stays as it was.

        Arguments:
            record: one of what `Run.predict` takes, with the steps that are new alone: for
                task=sequences `{"steps": [{...}]}`, for texts the next words or characters.
        """
        (sample,) = data_samples(self.run, [record])
        return self.take(sample).as_dict()

    @torch.inference_mode()
    def take(self, sample: Sample) -> Prediction:
        """Read the nodes of a sample that has an origin; the prediction after the last of them.

        ValueError for a sample without nodes, Spoiled where the net overflows.
        """
        if not sample.num_nodes:
            raise ValueError("a record has at least one step, this one has none")
        output = None
        for x in steps_of(sample):
            output = self.stepper.push(x)
        self.steps += sample.num_nodes
        scores, _ = scored(output)
        if scores.isnan().any():
            raise Spoiled(
                f"step {self.steps} gave no number: the session is over, begin anew with smaller "
                "values"
            )
        (said,) = predictions(self.run.task, scores, [sample.origin])
        return said


def why_no_steps(run: Run, net: Any) -> str | None:
    """Why the net of a run can't be fed step by step; None where it can."""
    if run.task.no_stream:
        return run.task.no_stream
    if not hasattr(net, "stepper"):
        return f"{type(net).__name__} has no stepper: train a net that has, such as net=stack"
    try:
        net.stepper(1)
    except ValueError as error:
        return str(error)
    return None


def steps_of(sample: Sample) -> Iterator[Any]:
    """What a stepper is fed for the nodes of a sample, one after the other."""
    for node in range(sample.num_nodes):
        yield _node(sample.x, node)


def _node(x: Any, node: int) -> Any:
    """The input of one node: features (1, D), `Tokens` or `Mixed`."""
    if isinstance(x, Mixed):
        return Mixed(_node(x.tokens, node), _node(x.numbers, node))
    if not isinstance(x, Tokens):
        return torch.as_tensor(x[node])[None]
    start, stop = int(x.ptr[node]), int(x.ptr[node + 1])
    spelling = None
    if x.spelling is not None:
        first, last = int(x.spelling.ptr[start]), int(x.spelling.ptr[stop])
        spelling = Tokens(x.spelling.ids[first:last], x.spelling.ptr[start : stop + 1] - first)
    return Tokens(x.ids[start:stop], x.ptr[node : node + 2] - start, spelling)
