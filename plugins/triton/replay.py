"""Passes over plans of repeated shape: recorded once, then replayed.

On a GPU, launching the kernel of a level with few nodes takes longer than running it. Where steps
repeat, as for chains and grids of one size, the launches of a whole pass are recorded as a CUDA
graph. A graph reads and writes fixed addresses, so inputs are copied there and results from there.
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
# The most recordings of a cell, the most shapes of passes that are remembered, and the number of
# passes after which an unused recording is replaced.
MOST_RECORDED, MOST_SEEN, IDLE = 8, 256, 256


class Recording:
    """A recorded pass over plans of one shape, and its backward once that was called."""

    # Tensors made in inference mode can't be written to outside of it.
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
        # Computed here, as a recording must not copy from the host.
        _ = plan.readers
        self.record, self.sweep = record, make(plan)
        z, initial = z.clone(), [state.clone() for state in initial]
        self.given = plan.rows, z, *initial
        self.out, self.run = record(lambda: self.sweep.forward(z, initial, keep))
        self.grads = [torch.zeros_like(state) for state in self.out]
        self.back: Recorded | None = None

    @torch.no_grad()
    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """The states, given rows, z and initial states."""
        for own, one in zip(self.given, given, strict=True):
            own.copy_(one)
        self.run()
        return tuple(state.clone() for state in self.out)

    # An autograd graph of the gradients would outlive its pass in a recording.
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
    """The recordings of one cell by shape: the free ones, and the number of all."""

    def __init__(self) -> None:
        self.seen: OrderedDict[Hashable, None] = OrderedDict()
        self.count = self.passes = 0
        # Shape, recording and the pass after which it became free; the oldest first.
        self.free: list[tuple[Hashable, Recording, int]] = []
        # The garbage collector may free a recording at any time, within these methods too.
        self.lock = threading.RLock()

    def take(self, shape: Hashable) -> Recording | None:
        """A free recording of a shape, if there is one."""
        with self.lock:
            self.passes += 1
            for place, (known, recording, _) in enumerate(self.free):
                if known == shape:
                    del self.free[place]
                    return recording
        return None

    def add(self) -> None:
        """Count one more recording, which is in use."""
        with self.lock:
            self.count += 1

    def put(self, shape: Hashable, recording: Recording) -> None:
        with self.lock:
            self.free.append((shape, recording, self.passes))

    def is_wanted(self, shape: Hashable) -> bool:
        """Whether to record a shape: it occurred before, and there is room.

        Shapes of random trees hardly repeat, and too many shapes would replace each other before
        any is replayed.
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
    """A pass of a cell over a plan and its backward, replayed where its shape repeats."""

    def __init__(self, p: sn.Pass, record: Record):
        super().__init__(p)
        self.record = record
        # A recording must not hold the pass or its tensors.
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
        # It is free again after backward, or when backward can't be called any more.
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
        """What a recording depends on, beside the values of its inputs."""
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
