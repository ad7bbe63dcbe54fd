"""Sessions: a model of chains is fed one message at a time, and its state stays on the server."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

from structnet.data.batch import Sample, Tokens
from structnet.data.mixed import Mixed
from structnet.nn.stepper import Stepper
from structnet.serving.work import Refused
from structnet.training.predict import predictions, scored


def why_no_steps(net: Any) -> str | None:
    """Why a net can't be fed step by step; None where it can."""
    if not hasattr(net, "stepper"):
        return f"{type(net).__name__} has no stepper: train a net that has, such as net=stack"
    try:
        net.stepper(1)
    except ValueError as error:
        return str(error)
    return None


class Spoiled(ValueError):
    """The state of a session holds what is no number, and so will every later one."""


class Sessions:
    """The sessions of a service, which compute in one thread beside that of requests.

    Attributes:
        open: the number of sessions.
    """

    def __init__(self, service: Any):
        self.service, self.open = service, 0
        self._thread = ThreadPoolExecutor(1, "structnet-steps")

    @property
    def is_full(self) -> bool:
        return self.open >= self.service.limits.sessions

    async def push(self, session: "Session", message: Any) -> dict[str, Any]:
        """What a session answers to a message; Refused for one that is no record."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, session.push, message)


class Session:
    """A stepper, and the number of steps that it has taken."""

    def __init__(self, service: Any):
        self.service, self.steps, self.messages = service, 0, 0
        self.stepper: Stepper = service.net.stepper(1)

    @torch.inference_mode()
    def push(self, message: Any) -> dict[str, Any]:
        """The prediction after the nodes of a record, which are the next steps.

        Refused for what is no record, which changes nothing; Spoiled where the net overflows.
        """
        sample = self.service.read_one(message, self.messages + 1)
        limit = self.service.limits.nodes
        if not 0 < sample.num_nodes <= limit:
            raise Refused(
                self.messages + 1,
                f"a message has 1 to {limit} steps, this one has {sample.num_nodes}",
            )
        output = None
        for x in steps_of(sample):
            output = self.stepper.push(x)
        self.messages += 1
        self.steps += sample.num_nodes
        self.service.metrics.steps.inc(sample.num_nodes)
        scores, _ = scored(output)
        if scores.isnan().any():
            raise Spoiled(
                f"step {self.steps} gave no number: the session is over, begin anew with smaller "
                "values"
            )
        (said,) = predictions(self.service.run.task, scores, [sample.origin])
        return {**said.as_dict(), "step": self.steps}


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
