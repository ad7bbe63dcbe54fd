"""A server in this process, and requests to it."""

import asyncio
import http.client
import json
import threading
import time
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import uvicorn
from commands import SMALL, _kept, call, opened, write_sst

from structnet.serving.app import make_app
from structnet.serving.server import Server, listen
from structnet.serving.service import Limits, Service


@cache
def trained_on_phrases(topology: str, *others: str) -> Path:
    """A run of one epoch on a small treebank, by a topology, that no test writes to."""
    folder, name = write_sst(_kept() / "phrases"), "-".join([topology, *others]).replace("=", "-")
    directory = _kept() / f"phrases-{name}"
    words = ("task=sst", f"task.root={folder}", f"topology={topology}", f"run={directory}")
    status, _, err = call("train", *words, *SMALL, *others, "trainer.max_epochs=1")
    assert status == 0, err
    return directory


@contextmanager
def serving(directory: Path, batching: str = "window", change=None, **limits):
    """A service and its port; `change` is called with the service before it begins."""
    service = Service(opened(directory), batching, Limits(**limits))
    if change is not None:
        change(service)
    with listen("127.0.0.1", 0) as sock, service:
        config = uvicorn.Config(make_app(service), log_level="critical", lifespan="off")
        server = Server(config, service, drain_s=10)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[sock])))
        thread.start()
        until = time.monotonic() + 20
        while not server.started and time.monotonic() < until:
            time.sleep(0.01)
        try:
            yield service, sock.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def ask(port: int, body, path: str = "/predict", method: str = "POST"):
    """The status, the answer and the headers; the body is JSON, or bytes as they are."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, sent if method == "POST" else None)
        answer = connection.getresponse()
        text = answer.read().decode()
        is_json = "json" in answer.headers.get("content-type", "")
        return answer.status, json.loads(text) if is_json else text, answer.headers
    finally:
        connection.close()
