"""Processes that end with the one that started them, even if that is killed.

A child's stdin is a pipe whose other end its parent alone holds, so that it is closed when the
parent ends, however it does.
"""

import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

# How long a child may take to clean up after SIGTERM before it is killed.
GRACE_S = 60
POLL_S = 0.1
# The end of a child's output that is read for its error, in bytes.
TAIL = 1 << 14
ERROR = "structnet: error: "


class Child:
    """A module that is run, as `python -m` does, in a process that ends with this one.

    Arguments:
        module: its name.
        words: its arguments.
        output: the file that its output is appended to; OSError if it is a symbolic link.
        environment: variables that are set for it, beside those of this process.
    """

    def __init__(
        self, module: str, words: Sequence[str], output: Path, environment: Mapping[str, str]
    ):
        self.output = output
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        file = os.open(output, flags, 0o666)
        try:
            self._begin = os.fstat(file).st_size
            self._process = subprocess.Popen(
                # -P: files in the working directory are not imported in place of modules.
                [sys.executable, "-P", "-m", __name__, module, *words],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
                env={**os.environ, **environment},
            )
        finally:
            os.close(file)

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def terminate(self) -> None:
        """Send it SIGTERM."""
        self._process.terminate()

    def end(self, kill: bool = False) -> None:
        """Wait until it has ended, killed or by itself."""
        if kill:
            self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()

    def failure(self) -> str | None:
        """Why it failed, in one line that names its output; None if it ended well."""
        status = self._process.wait()
        if status == 0:
            return None
        said = f"exit status {status}"
        if status < 0:
            said = f"ended by signal {-status} ({signal.strsignal(-status)})"
        elif lines := self._last_lines():
            errors = [line.removeprefix(ERROR) for line in lines if line.startswith(ERROR)]
            said = (errors or lines)[-1]
        return f"{said}; its output: {self.output}"

    def _last_lines(self) -> list[str]:
        with self.output.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(self._begin, size - TAIL))
            return [line for line in file.read().decode(errors="replace").splitlines() if line]


def stop(children: Iterable[Child]) -> None:
    """Send SIGTERM to children and wait until all have ended; after `GRACE_S` they are killed."""
    children = list(children)
    try:
        for child in children:
            child.terminate()
        until = time.monotonic() + GRACE_S
        while time.monotonic() < until and not all(child.has_ended for child in children):
            time.sleep(POLL_S)
    finally:
        for child in children:
            child.end(kill=not child.has_ended)


def _end_with_parent() -> None:
    # Not by sys.stdin, whose lock this thread would hold when the interpreter ends.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
