"""A run that is served: requests are read, queued, computed in a thread, and answered."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from structnet.data.batch import Origin, Sample
from structnet.fitting.stream import why_no_steps
from structnet.run.run import Run
from structnet.serving.methods import make_method
from structnet.serving.metrics import Metrics
from structnet.serving.sessions import Sessions
from structnet.serving.work import Queue, Refused, Work
from structnet.training.labelled import as_json
from structnet.training.samples import named

# What stands for the file of a record in answers and messages; its line is the record's number.
PLACE = "request"
# What reading a record that is none may raise, in the code of a task.
UNREADABLE = (ArithmeticError, LookupError, RecursionError, TypeError, ValueError)
# Bytes of a body that is read in a thread of its own, so that others need not wait.
LONG = 1 << 16


@dataclass(frozen=True)
class Limits:
    """How much a server takes on.

    Arguments:
        body: the most bytes of a request, or of a message of a session.
        nodes: the most nodes of a request.
        queue: the most nodes that wait.
        batch_nodes: the most nodes in work at a time.
        wait_ms: how long the first request of a window waits for others, in milliseconds.
        sessions: the most sessions at a time.
        idle_s: the seconds after which a session without messages ends.
    """

    body: int = 1 << 20
    nodes: int = 10_000
    queue: int = 50_000
    batch_nodes: int = 4096
    wait_ms: int = 5
    sessions: int = 100
    idle_s: int = 300


class TooLarge(Refused):
    """A request has more nodes than are taken."""


class Service:
    """A run's net and what feeds it. `with service:` starts and ends the thread that computes.

    Arguments:
        run: the run.
        batching: window, continuous or one.
        limits: how much it takes on.

    Attributes:
        batching: how requests are batched.
        why: why that is not what was asked for; None where it is.
        no_stream: why there are no sessions of single steps; None where there are.
        draining: whether it takes no more requests.
        open: the number of requests that were accepted and are not answered.
    """

    def __init__(self, run: Run, batching: str, limits: Limits):
        """ValueError for a run whose task makes no samples of records."""
        self.run, self.limits = run, limits
        self.net = run.load_net().eval()
        self.no_stream = why_no_steps(run, self.net)
        if not run.task.reads_records:
            # It says what the task lacks.
            run.task.read_record({}, Origin(PLACE, 1, ""), run.topology)
        self.metrics, self.queue = Metrics(), Queue(limits.queue)
        given = run, self.net, limits.batch_nodes, self.metrics.calls.observe
        method, self.why = make_method(batching, *given, limits.wait_ms / 1000)
        self.batching = batching if self.why is None else "window"
        self._thread = threading.Thread(
            target=method.serve, args=(self.queue,), name="structnet", daemon=True
        )
        self.sessions = Sessions(self)
        self.draining, self.open = False, 0
        self.metrics.waiting.set_function(lambda: len(self.queue))
        self.metrics.waiting_nodes.set_function(lambda: self.queue.nodes)
        self.metrics.sessions.set_function(lambda: self.sessions.open)

    def __enter__(self) -> "Service":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.queue.close()
        self._thread.join()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    async def predict(self, records: Sequence[Any], size: int) -> list[dict[str, Any]]:
        """The predictions for records, as `structnet predict --json` gives them.

        Refused for a record that is none, TooLarge for too many nodes, Full where too much waits.

        Arguments:
            records: objects in the task's own format.
            size: of the request, in bytes.
        """
        read = (self.read, records)
        samples = await asyncio.to_thread(*read) if size > LONG else self.read(records)
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def tell(work: Work) -> None:
            self.queue.note(work)
            loop.call_soon_threadsafe(lambda: done.done() or done.set_result(None))

        work = Work(samples, tell)
        if work.nodes > self.limits.nodes:
            raise TooLarge(
                None, f"the request has {work.nodes} nodes, taken are {self.limits.nodes} at most"
            )
        if samples:
            self.queue.put(work)
            await done
        if work.error is not None:
            raise work.error
        self.metrics.records.inc(len(samples))
        self.metrics.nodes.inc(work.nodes)
        return as_json([one for found in work.found for one in found], self.run.task)

    def read(self, records: Sequence[Any]) -> list[Sample]:
        """The samples of records; Refused names the first that is none."""
        return [self.read_one(record, number) for number, record in enumerate(records, start=1)]

    def read_one(self, record: Any, number: int) -> Sample:
        """The sample of a record of a number; Refused if it is none."""
        if not isinstance(record, dict):
            raise Refused(number, f"a record is an object, got {type(record).__name__}")
        text = record.get("text")
        place = Origin(PLACE, number, text if isinstance(text, str) else "")
        try:
            with named(self.run, "the task failed to read the record"):
                sample = self.run.task.read_record(record, place, self.run.topology)
        except UNREADABLE as error:
            kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
            raise Refused(number, f"{kind}{error}") from error
        return replace(sample, origin=place) if sample.origin is None else sample
