"""Figures of a server, as Prometheus reads them."""

from typing import Any

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
NODES = tuple(4**power for power in range(9))


class Metrics:
    """Counts, times and sizes of one server, under names that begin with structnet_."""

    def __init__(self) -> None:
        from prometheus_client import (
            CollectorRegistry,
            Counter,
            Gauge,
            Histogram,
            ProcessCollector,
        )

        self.registry = CollectorRegistry()
        # The process's memory and seconds of CPU.
        ProcessCollector(registry=self.registry)

        def make(kind: Any, name: str, text: str, *labels: str, **options: Any) -> Any:
            return kind(f"structnet_{name}", text, labels, registry=self.registry, **options)

        self.requests = make(Counter, "requests", "Requests to /predict, by status", "status")
        self.seconds = make(
            Histogram, "request_seconds", "Seconds of a request that is answered", buckets=SECONDS
        )
        self.records = make(Counter, "records", "Records that predictions were made for")
        self.nodes = make(Counter, "nodes", "Nodes of these records")
        self.calls = make(
            Histogram, "call_nodes", "Nodes of a turn, or of a whole pass", buckets=NODES
        )
        self.waiting = make(Gauge, "waiting_requests", "Requests in the queue")
        self.waiting_nodes = make(Gauge, "waiting_nodes", "Nodes of the requests in the queue")
        self.sessions = make(Gauge, "sessions", "Sessions of /stream that are open")
        self.steps = make(Counter, "steps", "Steps of all sessions")

    def text(self) -> tuple[bytes, str]:
        """All figures, and the type of their text."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self.registry), CONTENT_TYPE_LATEST
