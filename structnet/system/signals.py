"""SIGINT and SIGTERM: stopping at any moment, with the exit status that shells expect."""

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
    """Raises `Stopped` where a signal finds the main thread, and puts its number in the list.

    A library may make another error of it, or swallow it while it is imported: the list tells.
    Signals soon after one are ignored, so that what is being cleaned up is. In another thread, and
    for a signal that is ignored already, as with `nohup`, nothing changes.
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
            # A handler that was not installed from Python is not known.
            signal.signal(one, signal.SIG_DFL if handler is None else handler)


def ignore(worker: int) -> None:
    """For a loader's worker: it ends with the process it works for, and by nothing else."""
    for one in STOPPING:
        signal.signal(one, signal.SIG_IGN)
