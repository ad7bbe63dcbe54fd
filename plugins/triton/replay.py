"""Passes over plans of repeated shape: recorded once, then replayed.

On a GPU a level of few nodes takes less time than its launch. Where the same steps come again, as
for chains and grids of one size, the launches of a whole pass are recorded as a CUDA graph. That
reads and writes where it did when it was recorded, so what it is given is copied there, and what it
gives is copied from there.
"""

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

import structnet as sn
from structnet.plugins.triton.launch import precision
from structnet.plugins.triton.record import Record, Recorded
from structnet.plugins.triton.sweep import FusedSweep, sweep_of

Make = Callable[[sn.Plan], FusedSweep]
# Recordings of a cell, shapes of its passes that are known to have come before, and after how many
# passes a recording that nobody asked for gives way to another.
MOST_RECORDED, MOST_SEEN, IDLE = 8, 256, 256


class Recording:
    """A pass over plans of one shape, and the way back once it was asked for."""

    # What is made under inference mode could not be written to outside of it.
    @torch.inference_mode(False)
    @torch.no_grad()
    def __init__(
        self,
        make: Make,
        plan: sn.Plan,
        z: Tensor,
        initial: Sequence[Tensor],
        keep: bool,
        record: Record,
    ):
        plan = replace(plan, rows=plan.rows.clone())
        # They are copied from the host, which a recording must not read again.
        _ = plan.readers
        self.record, self.sweep = record, make(plan)
        z, initial = z.clone(), [state.clone() for state in initial]
        self.given = plan.rows, z, *initial
        self.out, self.run = record(lambda: self.sweep.forward(z, initial, keep))
        self.grads = [torch.zeros_like(state) for state in self.out]
        self.back: Recorded | None = None

    @torch.no_grad()
    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Of rows, z and initial states."""
        for own, one in zip(self.given, given, strict=True):
            own.copy_(one)
        self.run()
        return tuple(state.clone() for state in self.out)

    # A graph of the gradients would hold whoever asks for them, and a recording is for others too.
    @torch.no_grad()
    def backward(self, grads: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
        for own, one in zip(self.grads, grads, strict=True):
            own.zero_() if one is None else own.copy_(one)
        if self.back is None:
            self.back = self.record(lambda: self.sweep.gradients(self.grads))
        found, run = self.back
        run()
        return tuple(grad.clone() for grad in found)


class Recordings:
    """Those of one cell, by shape: free ones, and how many there are with those in use."""

    def __init__(self) -> None:
        self.seen: OrderedDict[Hashable, None] = OrderedDict()
        self.count = self.passes = 0
        # Shape, recording and the pass after which it was put here; the longest here first.
        self.free: list[tuple[Hashable, Recording, int]] = []
        # The garbage collector puts back what is gone, whatever is being done here.
        self.lock = threading.RLock()

    def take(self, shape: Hashable) -> Recording | None:
        """One that nobody is on the way back in."""
        with self.lock:
            self.passes += 1
            for place, (known, recording, _) in enumerate(self.free):
                if known == shape:
                    del self.free[place]
                    return recording
        return None

    def add(self) -> None:
        """One more is in use."""
        with self.lock:
            self.count += 1

    def put(self, shape: Hashable, recording: Recording) -> None:
        with self.lock:
            self.free.append((shape, recording, self.passes))

    def is_wanted(self, shape: Hashable) -> bool:
        """Whether to record it: it came before, and there is room.

        Shapes of random trees hardly come again, and shapes that outnumber the room would drive
        each other out before any is replayed.
        """
        with self.lock:
            is_new = shape not in self.seen
            self.seen[shape] = None
            self.seen.move_to_end(shape)
            if len(self.seen) > MOST_SEEN:
                self.seen.popitem(last=False)
            return not is_new and self._has_room()

    def _has_room(self) -> bool:
        if self.count >= MOST_RECORDED and self.free and self.passes - self.free[0][2] > IDLE:
            del self.free[0]
            self.count -= 1
        return self.count < MOST_RECORDED


_recordings: weakref.WeakKeyDictionary[nn.Module, Recordings] = weakref.WeakKeyDictionary()


class ReplayedSweep(sn.Sweep):
    """One pass of a cell over a plan and the way back, replayed where its shape has come before."""

    def __init__(self, p: sn.Pass, record: Record):
        super().__init__(p)
        self.record = record
        # Neither the pass nor its tensors outlive it in a recording.
        given = sn.Pass(p.cell, p.plan, p.x[:0], p.initial and tuple(one[:0] for one in p.initial))
        self.make = partial(_make, given)
        self.plain = self.make(p.plan)
        self.learning, self.constants = self.plain.learning, self.plain.constants
        self.recordings = _recordings.setdefault(p.cell, Recordings())
        self.done: weakref.finalize | None = None

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        return self.plain.parameters

    def forward(self, z: Tensor, initial: Sequence[Tensor], keep: bool) -> tuple[Tensor, ...]:
        shape = self._shape(z, initial, keep)
        recording = self.recordings.take(shape)
        if recording is None:
            if not self.recordings.is_wanted(shape):
                return self.plain.forward(z, initial, keep)
            recording = Recording(self.make, self.plan, z, initial, keep, self.record)
            self.recordings.add()
        # It is free again after the way back, or when nobody can go back any more.
        self.done = weakref.finalize(self, self.recordings.put, shape, recording)
        self.done.atexit = False
        self.back = recording.backward
        states = recording.forward(self.plan.rows, z, *initial)
        if not keep:
            self.done()
        return states

    def backward(self, grads: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
        if self.done is None:
            return self.plain.backward(grads)
        if not self.done.alive:
            raise self.released()
        found = self.back(grads)
        if not self.retains_graph():
            self.done()
        return found

    def _shape(self, z: Tensor, initial: Sequence[Tensor], keep: bool) -> Hashable:
        """What a recording depends on, beside the numbers in the tensors that it is given."""
        plain = self.plain
        return (
            self.plan.steps,
            self.plan.num_initial,
            plain.has_initial,
            plain.first_node,
            keep,
            tuple((one.shape, one.dtype, one.device) for one in (z, *initial)),
            tuple((one.data_ptr(), one.shape, one.stride(), one.dtype, one.requires_grad)
                  for one in plain.used),
            tuple(plain.options.items()),
            precision(),
        )  # fmt: skip


def _make(p: sn.Pass, plan: sn.Plan) -> FusedSweep:
    return sweep_of(replace(p, plan=plan))
