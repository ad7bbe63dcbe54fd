"""train by several processes: the first one speaks and writes, an error of one ends all."""

import os
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout

from structnet import DataWarning
from structnet.distributed.launch import Launch
from structnet.distributed.world import Elsewhere, joined
from structnet.training.strategy import tell_address


@contextmanager
def shared(launch: Launch) -> Iterator[None]:
    """Join the other processes; all but the first are silent, except for errors of their own."""
    tell_address()
    with joined(), nullcontext() if launch.is_first else _silent(launch):
        yield


@contextmanager
def _silent(launch: Launch) -> Iterator[None]:
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        try:
            yield
        except Elsewhere:
            raise
        except FloatingPointError as error:
            # It is raised in all processes.
            raise Elsewhere(str(error)) from error
        except Exception:
            where = f"process {launch.rank} of {launch.size} on {socket.gethostname()}"
            print(f"structnet: {where}:", file=sys.stderr, flush=True)
            raise
