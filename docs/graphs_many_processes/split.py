"""A graph whose levels are split among ranks, and a sweep over it with an all-to-all a level.

L: levels, w: the width of a level, d: predecessors of a node, p: ranks.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

import structnet as sn

Ints = NDArray[np.integer]


def draw(
    width: int, levels: int, reach: int | None, random: np.random.Generator, degree: int = 3
) -> Ints:
    """A graph in levels, each a ring of nodes: where in the level before each node reads, (L - 1,
    w, d).

    Arguments:
        width: w.
        levels: L.
        reach: how far away these places are at most; None for anywhere.
        random: draws them, evenly.
        degree: d.
    """
    shape = (levels - 1, width, degree)
    if reach is None:
        return random.integers(0, width, shape)
    return (np.arange(width)[:, None] + random.integers(-reach, reach + 1, shape)) % width


def edges_of(before: Ints) -> sn.Edges:
    """The edges of such a graph, whose nodes are numbered level by level."""
    steps, width, degree = before.shape
    source = before + width * np.arange(steps)[:, None, None]
    target = np.repeat(np.arange(width, (steps + 1) * width), degree)
    return sn.Edges(np.stack([source.ravel(), target]), (steps + 1) * width)


class Level(NamedTuple):
    """A rank's nodes of a level, w / p of them.

    Arguments:
        plan: of these nodes. Its initial states are the rank's nodes of the level before, followed
            by those received.
        send: which of its nodes of the level before others read, rank by rank.
        sends: how many of these every rank gets (p,).
        receives: how many every rank sends (p,).
    """

    plan: Any
    send: Tensor
    sends: list[int]
    receives: list[int]


def split(before: Ints, rank: int, ranks: int) -> list[Level]:
    """A rank's share of a graph: the same block of every level; `ranks` divides the width."""
    _, width, degree = before.shape
    block = width // ranks
    own, target = np.arange(block), np.repeat(np.arange(block), degree)
    start = sn.schedule(np.empty((2, 0), np.int64), num_nodes=block)
    levels = [Level(start, torch.empty(0, dtype=torch.int64), [0] * ranks, [0] * ranks)]
    for table in before:
        read = table.reshape(ranks, -1)
        wanted = [np.unique(places) for places in read]
        foreign = wanted[rank][wanted[rank] // block != rank]
        sent = [places[places // block == rank] - rank * block for places in wanted]
        sent[rank] = own[:0]
        initial = np.empty(width, np.int64)
        initial[rank * block + own] = own
        initial[foreign] = block + np.arange(len(foreign))
        index = np.stack([block + initial[read[rank]], target])
        plan = sn.schedule(index, num_nodes=block, num_initial=block + len(foreign))
        receives = np.bincount(foreign // block, minlength=ranks).tolist()
        send = torch.from_numpy(np.concatenate(sent))
        levels.append(Level(plan, send, list(map(len, sent)), receives))
    return levels


class Exchange(torch.autograd.Function):
    """An all-to-all of rows; in backward, of their gradients the other way."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, sends: list[int], receives: list[int]) -> Tensor:
        ctx.sends, ctx.receives = sends, receives
        return _all_to_all(rows, sends, receives)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return _all_to_all(grads[0], ctx.receives, ctx.sends), None, None


def _all_to_all(rows: Tensor, sends: list[int], receives: list[int]) -> Tensor:
    out = rows.new_empty(sum(receives), rows.shape[1])
    dist.all_to_all_single(out, rows.contiguous(), receives, sends)
    return out


def sweep(layer: sn.Recurrence, x: Tensor, levels: Sequence[Level]) -> Tensor:
    """The states (L w / p, H) of a rank's nodes, level by level, for a cell of one state.

    Arguments:
        layer: the layer, the same on all ranks.
        x: the input of the rank's nodes (L w / p, D), level by level.
        levels: its share, as `split` gives it.
    """
    h, found = None, []
    for level, rows in zip(levels, x.chunk(len(levels)), strict=True):
        initial = None
        if h is not None:
            read = h
            if len(level.sends) > 1:
                read = torch.cat([h, Exchange.apply(h[level.send], level.sends, level.receives)])
            initial = [read]
        h = layer(rows, [level.plan], initial=initial, executor="batched")
        found.append(h)
    return torch.cat(found)


def reduce_gradients(layer: torch.nn.Module) -> None:
    """Add up the gradients of all ranks, in one all-reduce."""
    grads = [weight.grad for weight in layer.parameters() if weight.grad is not None]
    flat = torch.cat([grad.flatten() for grad in grads])
    dist.all_reduce(flat)
    for grad, part in zip(grads, flat.split([grad.numel() for grad in grads]), strict=True):
        grad.copy_(part.view_as(grad))
