"""Chains of a plan as sequences in time."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from structnet.topology.order import reorder
from structnet.topology.plan import Plan


@dataclass(frozen=True)
class Chains:
    """The order in time of the nodes of a plan's chains.

    Chains of equal length are side by side in the plan already, `width` nodes per step. Others are
    put one after the other by `order`, the ranks of their nodes and its inverse. `heads` are the
    first nodes of the chains.
    """

    plan: Plan
    width: int
    heads: Tensor
    order: tuple[Tensor, Tensor] | None = None

    @property
    def lengths(self) -> tuple[int, ...]:
        """The number of nodes of every chain, in the order of their heads."""
        if self.are_abreast:
            return (self.plan.num_nodes // max(self.width, 1),) * self.width
        ends = F.pad(self.heads[1:], (0, 1), value=self.plan.num_nodes)
        return tuple((ends - self.heads).tolist())

    def padding(self) -> tuple[Tensor, tuple[int, int]]:
        """The place of every node, by time, in chains padded to one length, and their (B, L)."""
        size = len(self.heads), len(self.plan.levels) - 1
        device = self.heads.device
        lengths = torch.tensor(self.lengths, device=device)
        shift = torch.arange(size[0], device=device) * size[1] - self.heads
        nodes = torch.arange(self.plan.num_nodes, device=device)
        return nodes + shift.repeat_interleave(lengths, output_size=len(nodes)), size

    @property
    def are_abreast(self) -> bool:
        return self.order is None

    def by_time(self, x: Tensor) -> Tensor:
        return x if self.order is None else reorder(x, *self.order)

    def by_rank(self, x: Tensor) -> Tensor:
        return x if self.order is None else reorder(x, *self.order[::-1])

    def before(self, initial: Tensor) -> Tensor:
        """The states before the first nodes, zeros where there are none."""
        return F.pad(initial, (0, 0, 1, 0))[self.plan.rows[: len(self.heads)]]


def chains_of(plan: Plan) -> Chains:
    """The chains of a plan that has `chains`."""
    order = plan.chains
    assert order is not None
    # Level 0, if there is a level.
    width = plan.levels[:2][-1]
    if are_abreast(plan):
        return Chains(plan, width, torch.arange(width, device=order.device))
    position = torch.argsort(order)
    return Chains(plan, 1, position[:width], (order, position))


def are_abreast(plan: Plan) -> bool:
    """Whether every level continues the one before, node by node: chains of one length."""
    width, length = plan.levels[:2][-1], len(plan.levels) - 1
    first = plan.first_row
    rows = torch.arange(first, first + plan.num_nodes - width, device=plan.rows.device)
    return width * length == plan.num_nodes and torch.equal(plan.rows[width:], rows)
