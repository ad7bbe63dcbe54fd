"""The execution order of a batch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import torch


@contextmanager
def lasting() -> Iterator[None]:
    """Tensors that are made within outlast inference mode and a transformation of torch.func.

    Plans are kept: what validation or a Jacobian makes of them, training finds.
    """
    with torch.inference_mode(False), torch._C._DisableFuncTorch():
        yield


class Step(NamedTuple):
    """One batched cell call: nodes of one level that read equally many rows of the state buffer.

    Arguments:
        start, stop: the ranks of the nodes.
        slots: how many rows each of them reads.
        offset: where these rows begin in the plan's `rows`.
    """

    start: int
    stop: int
    slots: int
    offset: int

    @property
    def nodes(self) -> slice:
        """The ranks of the nodes."""
        return slice(self.start, self.stop)

    @property
    def reads(self) -> slice:
        """The places of what they read in the plan's `rows`."""
        return slice(self.offset, self.offset + (self.stop - self.start) * self.slots)


@dataclass(frozen=True, eq=False)
class Plan:
    """The execution order of the nodes of one batch, in one direction.

    `order` (N,) is the node at every rank, `rank` (N,) its inverse; level l holds the ranks
    `levels[l]:levels[l + 1]`. `rows` are the rows of the state buffer that the nodes read, by rank:
    row 0 is the null state, rows 1 to `num_initial` the initial states, and row `first_row + r`
    belongs to the node of rank r. `steps` are the batched cell calls in their order. `sinks` are
    the nodes that feed no other, ascending; sample b owns the nodes `ptr[b]:ptr[b + 1]`.

    Where predecessors are given as edges, `edges` (R,) are, for every place in `rows`, the edge it
    stands for, numbered as they are given and before any direction turns them, `num_edges` of none.

    `present` (R,) are 1 at the places in `rows` that count in a mean or a share, else 0; None where
    all of them do. A predecessor counts; a node without any counts the null state once, in the
    first slot that its sample fills, so that a chain is one in any slot of any topology.
    """

    order: torch.Tensor
    rank: torch.Tensor
    levels: tuple[int, ...]
    rows: torch.Tensor
    steps: tuple[Step, ...]
    sinks: torch.Tensor
    num_initial: int
    ptr: torch.Tensor
    edges: torch.Tensor | None = None
    num_edges: int = 0
    present: torch.Tensor | None = None

    @property
    def num_nodes(self) -> int:
        return self.levels[-1]

    @property
    def first_row(self) -> int:
        """The row of the node of rank 0 in the state buffer."""
        return 1 + self.num_initial

    @property
    def level_sizes(self) -> tuple[int, ...]:
        """For chains, the `batch_sizes` of a PackedSequence."""
        return tuple(stop - start for start, stop in pairwise(self.levels))

    @cached_property
    def chains(self) -> torch.Tensor | None:
        """The ranks, chain by chain in order; None where a node has or feeds more than one."""
        with lasting():
            return self._chains()

    def _chains(self) -> torch.Tensor | None:
        if any(slots != 1 for _, _, slots, _ in self.steps):
            return None
        before = self.rows - self.first_row
        inner = before >= 0
        if (torch.bincount(before[inner], minlength=1) > 1).any():
            return None
        rank = torch.arange(self.num_nodes, device=self.rows.device)
        head = torch.where(inner, before, rank)
        for _ in range((len(self.levels) - 1).bit_length()):
            head = head[head]
        return torch.argsort(head, stable=True)

    @cached_property
    def counts(self) -> torch.Tensor | None:
        """`present` as true and false."""
        with lasting():
            return None if self.present is None else self.present.bool()

    @cached_property
    def readers(self) -> torch.Tensor:
        """The rank of the node that reads, at every place in `rows`, (R,).

        It is made on the plan's device, without waiting for it.
        """
        with lasting():
            steps = torch.tensor(self.steps, dtype=torch.int64).view(-1, 4)
            if self.rows.is_cuda:
                steps = steps.pin_memory()
            start, stop, slots, _ = steps.to(self.rows.device, non_blocking=True).unbind(1)
            each = slots.repeat_interleave(stop - start, output_size=self.num_nodes)
            ranks = torch.arange(self.num_nodes, device=self.rows.device)
            return ranks.repeat_interleave(each, output_size=len(self.rows))

    @cached_property
    def arrows(self) -> torch.Tensor:
        """Who feeds whom, (2, R), at every place in `rows`; both `num_nodes` where nobody does.

        Initial states are nobody.
        """
        with lasting():
            target = self.order[self.readers]
            before = self.rows - self.first_row
            source = self.order[before.clamp(min=0)] if self.num_nodes else before
            return torch.stack([source, target]).where(before >= 0, self.num_nodes)

    @cached_property
    def links(self) -> torch.Tensor:
        """The arrows and their opposites, (2, 2 R)."""
        with lasting():
            return torch.cat([self.arrows, self.arrows.flip(0)], dim=1)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Plan":
        return self.map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "Plan":
        return self.map(torch.Tensor.pin_memory)

    def map(self, move: Callable[[torch.Tensor], torch.Tensor]) -> "Plan":
        """Moved in one piece where the tensors are one, as `schedule` makes them."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        tensors = {k: value for k, value in values.items() if isinstance(value, torch.Tensor)}
        with lasting():
            whole = _whole(list(tensors.values()))
            if whole is None:
                moved = list(map(move, tensors.values()))
            else:
                moved = move(whole).split(list(map(len, tensors.values())))
        return replace(self, **dict(zip(tensors, moved, strict=True)))


def _whole(tensors: list[torch.Tensor]) -> torch.Tensor | None:
    """The tensor that these are the parts of, in this order; None if there is none."""
    storage, start = tensors[0].untyped_storage().data_ptr(), tensors[0].storage_offset()
    stop = start
    for tensor in tensors:
        if (
            tensor.untyped_storage().data_ptr() != storage
            or tensor.storage_offset() != stop
            or not tensor.is_contiguous()
        ):
            return None
        stop += len(tensor)
    return tensors[0].as_strided((stop - start,), (1,))
