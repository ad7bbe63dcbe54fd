"""Requests on their way through the server, and the queue in which they wait."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from structnet.data.batch import Sample

# The requests that the pace of work is the mean over.
RECENT = 100


class Refused(ValueError):
    """What a request has is refused: the number of its record, from 1 on, and why."""

    def __init__(self, record: int | None, why: str):
        super().__init__(why)
        self.record = record


class Full(Exception):
    """The queue has no room for a request; `seconds` says when it may have."""

    def __init__(self, seconds: int):
        super().__init__(f"too much is waiting, try again in {seconds} s")
        self.seconds = seconds


class Work:
    """The samples of a request, and what is found for them.

    Arguments:
        samples: one for each of its records.
        done: called once, in the thread that computes, when all is found or the request has failed.

    Attributes:
        nodes: the number of nodes of all samples.
        found: the predictions for each sample.
        error: why it failed; None if it did not.
    """

    def __init__(self, samples: Sequence[Sample], done: Callable[["Work"], None]):
        self.samples, self.done = samples, done
        self.nodes = sum(sample.total_nodes for sample in samples)
        self.found: list[Any] = [None] * len(samples)
        self.error: Exception | None = None
        self._missing = len(samples)

    def give(self, index: int, found: Any) -> None:
        """What is found for a sample."""
        self.found[index] = found
        self._missing -= 1
        if not self._missing:
            self.done(self)

    def fail(self, error: Exception) -> None:
        if self.error is None and self._missing:
            self.error = error
            self.done(self)


class Queue:
    """Requests that wait, in the order in which they came, up to a number of nodes.

    Arguments:
        nodes: the most nodes that may wait; a request of more is taken if nothing else waits.
    """

    def __init__(self, nodes: int):
        self.limit = nodes
        self.nodes = 0
        self._waiting: deque[Work] = deque()
        self._changed = threading.Condition()
        self._closed = False
        # The times at which requests were done, and their nodes.
        self._recent: deque[tuple[float, int]] = deque(maxlen=RECENT)

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, work: Work) -> None:
        """Add a request; Full if there is no room."""
        with self._changed:
            if self._waiting and self.nodes + work.nodes > self.limit:
                raise Full(self._seconds())
            self._waiting.append(work)
            self.nodes += work.nodes
            self._changed.notify()

    def take(self, room: int, *, idle: bool = True, window_s: float = 0.0) -> list[Work]:
        """The requests that come first, with at most `room` nodes in all.

        Arguments:
            room: the most nodes.
            idle: whether nothing else is in work: then this waits until there is a request, and
                gives at least one. It gives none once the queue is closed and empty.
            window_s: how long it waits for further requests, in seconds.
        """
        with self._changed:
            if idle:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                until = time.monotonic() + window_s
                while self.nodes < room and not self._closed:
                    if not self._changed.wait(until - time.monotonic()):
                        break
            taken: list[Work] = []
            while self._waiting and (self._waiting[0].nodes <= room or (idle and not taken)):
                taken.append(self._waiting.popleft())
                room -= taken[-1].nodes
                self.nodes -= taken[-1].nodes
            return taken

    def note(self, work: Work) -> None:
        """Note that a request is done."""
        self._recent.append((time.monotonic(), work.nodes))

    def close(self) -> None:
        """Let `take` give nothing once nothing waits."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _seconds(self) -> int:
        """In how many seconds what waits will be done, at the pace of the last requests."""
        recent = list(self._recent)
        nodes = sum(nodes for _, nodes in recent[1:])
        took = recent[-1][0] - recent[0][0] if nodes else 0.0
        return max(1, min(60, round(self.nodes * took / nodes))) if nodes else 1
