"""Sessions: a model of chains is fed one message at a time, and its state stays on the server."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

from structnet.data.batch import Sample, Tokens
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
        """The prediction after the nodes of a record, which are the next steps."""
        sample = self.service.read_one(message, self.messages + 1)
        limit = self.service.limits.nodes
        if not 0 < sample.num_nodes <= limit:
            raise Refused(
                self.messages + 1,
                f"a message has 1 to {limit} steps, this one has {sample.num_nodes}",
            )
        output = None
        for x in steps_of(sample, self.messages + 1):
            output = self.stepper.push(x)
        self.messages += 1
        self.steps += sample.num_nodes
        self.service.metrics.steps.inc(sample.num_nodes)
        scores, _ = scored(output)
        (said,) = predictions(self.service.run.task, scores, [sample.origin])
        return {**said.as_dict(), "step": self.steps}


def steps_of(sample: Sample, number: int) -> list[torch.Tensor]:
    """What a stepper is fed for the nodes of a sample, one after the other: tokens or features."""
    if not isinstance(sample.x, Tokens):
        return [torch.as_tensor(row)[None] for row in sample.x]
    if len(sample.x.ids) != len(sample.x):
        raise Refused(number, "a step has one token, the record has nodes with others")
    return [torch.as_tensor(token).view(1) for token in sample.x.ids]
