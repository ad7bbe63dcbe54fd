"""The processes that train together, and what they tell each other."""

import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous

from structnet.distributed.launch import Launch, launched
from structnet.system.terminal import counted

T = TypeVar("T")
# How long the others have to say that they are there, once one is found missing, in seconds.
ANSWER_S = 3.0


class Elsewhere(RuntimeError):
    """An error that the first process tells; nothing is left to say here."""

    is_told = True


@dataclass
class World:
    """The processes that train together: one where nothing else was started.

    Arguments:
        launch: the place of this process among them.
        store: where they leave messages for each other; None for one process.
        sent: the bytes that this process has sent.
        waited_s: the seconds that it has spent in sending and waiting for others.
    """

    launch: Launch = field(default_factory=Launch)
    store: Any = None
    sent: int = 0
    waited_s: float = 0.0

    @property
    def rank(self) -> int:
        return self.launch.rank

    @property
    def size(self) -> int:
        return self.launch.size

    @property
    def is_first(self) -> bool:
        return self.launch.is_first

    @property
    def host(self) -> str:
        """The name of this machine."""
        return socket.gethostname()

    def wait_at_most(self, minutes: float) -> None:
        """Raise ConnectionError where the others take longer, from now on."""
        if self.size > 1:
            group: Any = dist.group.WORLD
            group.set_timeout(timedelta(minutes=minutes))

    def gather(self, value: T) -> list[T]:
        """The values of all processes, in their order."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        with self.exchanging():
            dist.all_gather_object(values, value)
        return values

    def from_first(self, make: Callable[[], T]) -> T:
        """What the first process makes, in all of them; `Elsewhere` where that raises an error."""
        if self.size == 1:
            return make()
        made: list[Any] = [None, True]
        error = None
        if self.is_first:
            try:
                made = [make(), True]
            except BaseException as raised:
                made, error = [None, False], raised
        with self.exchanging():
            dist.broadcast_object_list(made, 0)
        if error is not None:
            raise error
        if not made[1]:
            raise Elsewhere("the first process has raised an error")
        return made[0]

    @contextmanager
    def together(self) -> Iterator[None]:
        """A part that every process does by itself: an error of one of them ends all.

        The first process raises its own error, or else ValueError with that of another, which it
        names; the others raise `Elsewhere`.
        """
        error = None
        try:
            yield
        except Exception as raised:
            error = raised
        if self.size == 1:
            if error is not None:
                raise error
            return
        text = "" if error is None else str(error) or type(error).__name__
        for rank, (host, said) in enumerate(self.gather((self.host, text))):
            if said and not self.is_first:
                raise Elsewhere(said)
            if said:
                raise error or ValueError(f"process {rank} of {self.size} on {host}: {said}")

    @contextmanager
    def within_first(self, context: AbstractContextManager[Any]) -> Iterator[None]:
        """Enter a context in the first process; the others go on once it has been entered."""
        with ExitStack() as stack:

            def enter() -> None:
                stack.enter_context(context)

            self.from_first(enter)
            yield

    def exchange(self, vectors: Tensor, counts: Sequence[int]) -> Tensor:
        """Send every process its share of some vectors, and get its shares of the others'.

        Arguments:
            vectors: those of this process, each of `size` shares (n, size * share).
            counts: the number of vectors of every process.

        Returns:
            This process's shares of all vectors, in the order of processes (sum(counts), share).
        """
        share = vectors.shape[1] // self.size
        given = vectors.view(len(vectors), self.size, share).transpose(0, 1).contiguous()
        got = vectors.new_empty(sum(counts), share)
        with self.exchanging():
            dist.all_to_all_single(
                got.view(-1),
                given.view(-1),
                [count * share for count in counts],
                [len(vectors) * share] * self.size,
            )
        self.sent += given.nbytes // self.size * (self.size - 1)
        return got

    def join_shares(self, share: Tensor) -> Tensor:
        """All processes' vectors (n,) of equal lengths, one after the other (size * n,)."""
        got = [torch.empty_like(share) for _ in range(self.size)]
        with self.exchanging():
            dist.all_gather(got, share)
        self.sent += share.nbytes * (self.size - 1)
        return torch.cat(got)

    def keep(self, name: str, value: str) -> None:
        """Keep a text for the processes that torchrun starts in place of these."""
        if self.is_first and (store := _lasting_store()) is not None:
            store.set(name, value)

    def kept(self, name: str) -> str | None:
        """A text that was kept before all processes were started again; None if there is none."""

        def read() -> str | None:
            store = _lasting_store() if self.launch.restarts else None
            there = store is not None and store.check([name])
            return store.get(name).decode() if store is not None and there else None

        return self.from_first(read)

    def take_first(self, net: nn.Module) -> None:
        """Give a net the weights that it has in the first process."""
        if self.size > 1:
            with self.exchanging():
                for value in net.state_dict().values():
                    dist.broadcast(value, 0)

    @contextmanager
    def exchanging(self) -> Iterator[None]:
        """Within it this process waits for others; ConnectionError names one that has ended."""
        begun = time.perf_counter()
        try:
            yield
        except RuntimeError as error:
            # Without the place in the library's code, and its advice after a full stop.
            said = re.sub(r"^\[[^]]*\] ", "", str(error)).split(". ")[0]
            raise ConnectionError(f"{self._missing()} ({said})") from error
        finally:
            self.waited_s += time.perf_counter() - begun

    def _missing(self) -> str:
        """Which processes do not say that they are there, once this one says it."""
        # What is said if the store ends or stops with the process that holds it.
        found = ["the process that the others are connected by"]
        asking = threading.Thread(target=self._ask, args=(found,), daemon=True)
        asking.start()
        asking.join(2 * ANSWER_S)
        return f"{found[-1]} has ended or does not answer"

    def _ask(self, found: list[str]) -> None:
        """Append which processes do not say that they are there."""
        others = [rank for rank in range(self.size) if rank != self.rank]
        with suppress(RuntimeError):
            self.store.set(f"here/{self.rank}", b"")
            until = time.monotonic() + ANSWER_S
            while others and time.monotonic() < until:
                others = [rank for rank in others if not self.store.check([f"here/{rank}"])]
                time.sleep(0.05)
            named = [self.store.get(f"who/{rank}").decode() for rank in others]
            found.append(", ".join(named) or "a connection between the processes")


_current = World()
_joins = count()


def current() -> World:
    """The processes that this one has joined; itself alone where it has joined none."""
    return _current


@contextmanager
def joined() -> Iterator[World]:
    """Join the processes that torchrun or Slurm has started with this one, if any.

    MASTER_ADDR and MASTER_PORT in the environment say where the first one is.
    """
    global _current
    launch = launched()
    if launch.size == 1:
        yield _current
        return
    shared, rank, size = next(rendezvous("env://", launch.rank, launch.size))
    # torchrun's store lasts: what was written before a restart, or before joining once more, must
    # not be read as the addresses of these processes.
    prefix = f"joined-{launch.restarts}-{next(_joins)}"
    store = dist.PrefixStore(prefix, shared)  # pyright: ignore[reportPrivateImportUsage]
    store.set(f"who/{rank}", f"process {rank} of {size} (pid {os.getpid()} on {_current.host})")
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size)
    _current = World(launch, store)
    try:
        yield _current
    finally:
        _current = World()
        dist.destroy_process_group()


def _lasting_store() -> Any:
    """The store of torchrun itself, which lasts while it starts processes again; None without."""
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return None
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return dist.TCPStore(address, port, is_master=False)  # pyright: ignore[reportPrivateImportUsage]


def described(world: World) -> str:
    """How many processes there are, on how many machines."""
    processes = counted(world.size, "process", "processes")
    return f"{processes} on {counted(world.launch.machines, 'machine')}"
