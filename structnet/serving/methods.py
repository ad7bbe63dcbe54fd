"""How requests are batched: in whole passes, or continuously. Each works in a thread of its own."""

import abc
import re
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from structnet.data.batch import Sample, collate
from structnet.data.predicting import Predicting
from structnet.run.run import Run
from structnet.serving.continuous import Continuous, why_not
from structnet.serving.work import Queue, Refused, Work
from structnet.topology.base import Topology
from structnet.training.predict import predict_batch, read_output
from structnet.training.weighing import Shares, shares

METHODS = ("window", "continuous", "one")
# The turns that a request waits at most until as many nodes wait as a turn takes.
PATIENCE = 4
# What a record is called in the messages of a batch that has it alone.
SAMPLE = re.compile(r"sample 0( of the batch)?( \([^)]*\))?")


class Method(abc.ABC):
    """A way of batching requests.

    Arguments:
        run: the run.
        net: its net, in evaluation.
        nodes: the most nodes in work at a time; a request of more is in work by itself.
        note: called with the number of nodes of every call of the net or of one of its cells.
    """

    def __init__(self, run: Run, net: nn.Module, nodes: int, note: Callable[[int], None]):
        self.run, self.net, self.nodes, self.note = run, net, nodes, note

    def serve(self, queue: Queue) -> None:
        """Work until the queue is closed and empty."""
        with torch.inference_mode(), shares(self.net) as kept:
            self._serve(queue, kept)

    @abc.abstractmethod
    def _serve(self, queue: Queue, kept: list[Shares]) -> None: ...


class WholePasses(Method):
    """Requests that wait together are one batch, which is computed as a whole.

    Arguments:
        window_s: how long the first request of a batch waits for others, in seconds.
    """

    def __init__(self, *given: Any, window_s: float = 0.0):
        super().__init__(*given)
        self.window_s = window_s

    def _serve(self, queue: Queue, kept: list[Shares]) -> None:
        while works := queue.take(self.nodes, window_s=self.window_s):
            self._pass(works, kept)

    def _pass(self, works: Sequence[Work], kept: list[Shares]) -> None:
        samples = [sample for work in works for sample in work.samples]
        try:
            batch = collate(samples, self.run.topology)
            self.note(batch.total_nodes)
            found = iter(predict_batch(self.run, self.net, batch, samples, kept))
        except Exception as error:
            kept.clear()
            if len(works) > 1:
                # One of them may be bad: no other fails with it.
                for work in works:
                    self._pass([work], kept)
            else:
                works[0].fail(refusal(works[0].samples, self.run.topology) or reported(error))
            return
        for work in works:
            for index in range(len(work.samples)):
                work.give(index, next(found))


class ContinuousBatching(Method):
    """Requests join between levels, and leave as soon as they are done."""

    def _serve(self, queue: Queue, kept: list[Shares]) -> None:
        engine, turns = Continuous(self.net, self.run.topology), 0
        while True:
            idle, turns = not engine.parts, turns + 1
            works: list[Work] = []
            # Planning takes about as long for a few requests as for one.
            if idle or queue.nodes >= engine.turned or turns >= PATIENCE:
                works, turns = queue.take(self.nodes - engine.num_nodes, idle=idle), 0
            if idle and not works:
                return
            try:
                self._admit(engine, works)
                for part in engine.turn():
                    samples = [work.samples[index] for work, index in part.members]
                    scores = engine.scores(part)
                    found = read_output(self.run, scores, part.batch, samples, kept)
                    for (work, index), one in zip(part.members, found, strict=True):
                        work.give(index, one)
                self.note(engine.turned)
            except Exception as error:
                # A mistake of ours: what is in work can't be told apart any more.
                reported(error)
                for part in engine.parts:
                    for work, _ in part.members:
                        work.fail(error)
                for work in works:
                    work.fail(error)
                engine.clear()
                kept.clear()

    def _admit(self, engine: Continuous, works: Sequence[Work]) -> None:
        members = [(work, index) for work in works for index in range(len(work.samples))]
        if not members:
            return
        try:
            engine.admit([work.samples[index] for work, index in members], members)
        except ValueError as error:
            if len(works) > 1:
                for work in works:
                    self._admit(engine, [work])
            else:
                works[0].fail(refusal(works[0].samples, engine.topology) or reported(error))


def refusal(samples: Sequence[Sample], topology: Topology) -> Refused | None:
    """Why the first of the samples that can't be planned can't; None if all can be."""
    for number, sample in enumerate(samples, start=1):
        try:
            collate([sample], topology)
        except ValueError as error:
            return Refused(number, SAMPLE.sub("the record", str(error), count=1))
    return None


def reported(error: Exception) -> Exception:
    """The error, whose traceback is printed for whoever runs the server."""
    traceback.print_exception(error)
    return error


def make_method(
    name: str, run: Run, net: Any, nodes: int, note: Callable[[int], None], window_s: float
) -> tuple[Method, str | None]:
    """The method of a name, and why it is another one; None where it is that one.

    Arguments:
        name: window, continuous or one.
        run, net, nodes, note: as of `Method`.
        window_s: of window, and of what takes the place of continuous.
    """
    given = run, net, nodes, note
    if name == "one":
        return WholePasses(run, net, 0, note), None
    if name == "window":
        return WholePasses(*given, window_s=window_s), None
    why = why_not(net)
    if type(run.task).answer is not Predicting.answer:
        why = "its task has answers of its own"
    if why is not None:
        return WholePasses(*given, window_s=window_s), why
    return ContinuousBatching(*given), None
