"""SIGINT and SIGTERM: stopping at any time, with the exit status that shells expect."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

STOPPING = (signal.SIGINT, signal.SIGTERM)
CLEANING_S = 5


class Stopped(KeyboardInterrupt):
    """A signal to stop was received."""


@contextmanager
def stoppable() -> Iterator[list[int]]:
    """Signals raise `Stopped` in the main thread, and append their number to the list given.

    The list tells of a signal even if a library turns the exception into another or swallows it.
    Further signals within `CLEANING_S` seconds are ignored, so that cleaning up can finish. Nothing
    changes in other threads, nor for a signal that is ignored already, as with `nohup`.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    raised_at = 0.0

    def stop(number: int, frame: object) -> None:
        nonlocal raised_at
        received.append(number)
        if len(received) > 1 and time.monotonic() - raised_at < CLEANING_S:
            return
        raised_at = time.monotonic()
        raise Stopped("stopped")

    before = {one: signal.getsignal(one) for one in STOPPING}
    for one, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(one, stop)
    try:
        yield received
    finally:
        for one, handler in before.items():
            # None: the handler was not installed from Python.
            signal.signal(one, signal.SIG_DFL if handler is None else handler)


def ignore(worker: int) -> None:
    """Make a loader's worker ignore signals: it ends with the process that started it."""
    for one in STOPPING:
        signal.signal(one, signal.SIG_IGN)
