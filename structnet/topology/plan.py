"""Plan: the execution order of a batch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import torch


@contextmanager
def lasting() -> Iterator[None]:
    """Tensors made in this context can be used after inference mode or a torch.func transformation.

    Plans are cached: one made in validation or for a Jacobian is used in training later.
    """
    # A private part of torch, which another version may not have.
    aside = getattr(torch._C, "_DisableFuncTorch", nullcontext)
    with torch.inference_mode(False), aside():
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
    """The execution order of the N nodes of a batch, in one direction.

    The state buffer has the null state in row 0, the initial states in rows 1 to `num_initial`, and
    the state of the node of rank r in row `first_row + r`.

    Arguments:
        order: the node of every rank (N,).
        rank: the rank of every node (N,), the inverse of `order`.
        levels: level l has the ranks `levels[l]:levels[l + 1]`.
        rows: the rows of the state buffer that nodes read, in the order of their ranks (R,).
        steps: the batched cell calls, in order.
        sinks: the nodes that no other node reads, ascending.
        num_initial: the number of initial states.
        ptr: sample b owns the nodes `ptr[b]:ptr[b + 1]` (B + 1,).
        edges: if predecessors were given as edges, the edge that each entry of `rows` stands for
            (R,), in the numbering of the edges as given, and `num_edges` where it stands for none.
        num_edges: the number of edges as given.
        present: whether an entry of `rows` counts in means and shares, 1 or 0 (R,); None if all do.
            Predecessors count. A node without any counts the null state once, in the first slot
            that its sample fills, so that a chain is the same in any slot of any topology.
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
        """The number of nodes in each level; for chains, the `batch_sizes` of a PackedSequence."""
        return tuple(stop - start for start, stop in pairwise(self.levels))

    @cached_property
    def chains(self) -> torch.Tensor | None:
        """The ranks, chain after chain (N,); None if a node has or feeds more than one."""
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
    def is_in_order(self) -> bool:
        """Whether no node reads another and nodes are by rank, as in one step of chains."""
        # A GPU would have to be waited for.
        if len(self.steps) != 1 or self.order.is_cuda:
            return False
        return torch.equal(self.order, torch.arange(self.num_nodes))

    @cached_property
    def counts(self) -> torch.Tensor | None:
        """`present` as booleans."""
        with lasting():
            return None if self.present is None else self.present.bool()

    @cached_property
    def readers(self) -> torch.Tensor:
        """The rank of the node that reads each entry of `rows` (R,)."""
        # Computed on the plan's device, without synchronising with it.
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
        """The predecessor and the node for each entry of `rows` (2, R).

        Both are `num_nodes` where it is not a node, but the null state or an initial state.
        """
        with lasting():
            target = self.order[self.readers]
            before = self.rows - self.first_row
            source = self.order[before.clamp(min=0)] if self.num_nodes else before
            return torch.stack([source, target]).where(before >= 0, self.num_nodes)

    @cached_property
    def links(self) -> torch.Tensor:
        """The arrows in both directions (2, 2 R)."""
        with lasting():
            return torch.cat([self.arrows, self.arrows.flip(0)], dim=1)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Plan":
        return self.map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "Plan":
        return self.map(torch.Tensor.pin_memory)

    def map(self, move: Callable[[torch.Tensor], torch.Tensor]) -> "Plan":
        """Apply a function to all tensors, at once if they share a storage, as by `schedule`."""
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
    """The tensor whose consecutive parts these are; None if there is none."""
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
