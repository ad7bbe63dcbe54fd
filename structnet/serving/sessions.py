"""Sessions: a model of chains is fed one message at a time, and its state stays on the server."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from structnet.fitting.stream import Stream
from structnet.serving.work import Refused


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
    """A stream, and the number of messages that it has read."""

    def __init__(self, service: Any):
        self.service, self.messages = service, 0
        self.stream = Stream(service.run, service.net)

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
        said = self.stream.take(sample)
        self.messages += 1
        self.service.metrics.steps.inc(sample.num_nodes)
        return {**said.as_dict(), "step": self.stream.steps}
