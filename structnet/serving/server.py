"""Running the server: uvicorn, which on SIGTERM lets it finish what it has accepted."""

import asyncio
import socket
import time
from types import FrameType

import uvicorn

from structnet.serving.app import make_app
from structnet.serving.service import Service

# A connection is kept for so long between requests: where clients send one every few seconds, one
# that is closed just then fails.
KEEP_S = 75


class Server(uvicorn.Server):
    """uvicorn's server, which after a first signal takes no requests, and answers those it has.

    Until these are answered it refuses others with 503; then it ends. A second signal ends it at
    once.

    Arguments:
        config: uvicorn's.
        service: answers the requests.
        drain_s: the most seconds for what was accepted.
    """

    def __init__(self, config: uvicorn.Config, service: Service, drain_s: float):
        super().__init__(config)
        self.service, self.drain_s = service, drain_s
        self.until = 0.0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._captured_signals.append(sig)
        if self.service.draining:
            self.should_exit = self.force_exit = True
        self.service.draining = True
        self.until = time.monotonic() + self.drain_s

    async def on_tick(self, counter: int) -> bool:
        late = time.monotonic() > self.until
        if self.service.draining and (late or not self.service.open):
            self.should_exit = True
        return await super().on_tick(counter)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; OSError, with what to do, where it can't."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise OSError(
            f"can't listen on {host} port {port}: {error.strerror or error}; take another port=, "
            "or port=0 for any that is free"
        ) from error


def serve(service: Service, sock: socket.socket, drain_s: float) -> None:
    """Answer requests until a signal comes, which is raised again at the end."""
    config = uvicorn.Config(
        make_app(service),
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws_max_size=service.limits.body,
        timeout_keep_alive=KEEP_S,
        timeout_graceful_shutdown=max(1, round(drain_s)),
        backlog=2048,
    )
    with service:
        asyncio.run(Server(config, service, drain_s).serve(sockets=[sock]))
