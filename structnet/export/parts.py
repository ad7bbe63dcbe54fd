"""The parts of a net between which the runtime gathers states, as modules of tensors alone.

N: nodes, n: nodes of a step, K: slots, T: tokens of all nodes, B: samples.
"""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from structnet.cell.base import Cell
from structnet.cell.call import call
from structnet.cell.frame import EdgeTerms, Frame
from structnet.cell.hooks import compute_weights
from structnet.data.batch import Batch
from structnet.nn.embedding import Embedding, OneHot
from structnet.nn.head import plain_scores
from structnet.nn.net import Net
from structnet.nn.stack import Stack


class Embedded(nn.Module):
    """What enters for tokens: the sum of their embeddings, (N, size).

    Called with the id of every token (T,), its node (T,) and the bounds of the nodes' tokens
    (N + 1,).
    """

    def __init__(self, layer: Embedding):
        super().__init__()
        self.layer = layer

    def forward(self, ids: Tensor, node: Tensor, ptr: Tensor) -> Tensor:
        found = F.embedding(ids, self.layer.weight)
        return found.new_zeros(ptr.shape[0] - 1, found.shape[1]).index_add(0, node, found)


class Counted(nn.Module):
    """The same for one-hot tokens: their counts."""

    def __init__(self, layer: OneHot):
        super().__init__()
        self.size = layer.size

    def forward(self, ids: Tensor, node: Tensor, ptr: Tensor) -> Tensor:
        ones = torch.ones_like(ids, dtype=torch.float32)
        none = ones.new_zeros(ptr.shape[0] - 1, self.size)
        return none.index_put((node, ids), ones, accumulate=True)


class Entering(nn.Module):
    """What enters the lowest layer: of tokens, of numbers, and of what samples are given beside.

    Called with what `names` says, it returns them side by side, (N, size).

    Arguments:
        tokens: what enters for tokens; None without any.
        numbers: whether nodes have numbers, x (N, D).
        condition: whether samples have a condition (B, C) that joins their nodes' input.
    """

    def __init__(self, tokens: nn.Module | None, numbers: bool, condition: bool):
        super().__init__()
        self.tokens, self.numbers, self.condition = tokens, numbers, condition
        self.names = [
            *(("ids", "node", "ptr") if tokens is not None else ()),
            *(("x",) if numbers else ()),
            *(("condition", "sample") if condition else ()),
        ]

    def forward(self, *given: Tensor) -> Tensor:
        by_name = dict(zip(self.names, given, strict=True))
        found = []
        if self.tokens is not None:
            found.append(self.tokens(by_name["ids"], by_name["node"], by_name["ptr"]))
        if self.numbers:
            found.append(by_name["x"])
        if self.condition:
            found.append(by_name["condition"][by_name["sample"]])
        return found[0] if len(found) == 1 else torch.cat(found, 1)


class Project(nn.Module):
    """The input's half of all gates, (N, I) -> (N, G)."""

    def __init__(self, cell: Cell):
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        compute_weights(self.cell)
        return self.cell.project(x)


class Step(nn.Module):
    """One call of a cell: the new states, (n, size) each.

    Called with z (n, G), every state of the predecessors (n, K, size), which slots count (n, K, 1)
    where there are several ordered ones, and what edges add (n, K, columns) where they do.

    Arguments:
        cell: the cell.
        zoneout: the share of the predecessors' mean in every new state.
        counts: whether it is told which slots count.
    """

    def __init__(self, cell: Cell, zoneout: float, counts: bool):
        super().__init__()
        self.cell, self.zoneout, self.counts = cell, zoneout, counts

    def forward(self, z: Tensor, *given: Tensor) -> tuple[Tensor, ...]:
        sizes = self.cell.state_sizes
        states, others = given[: len(sizes)], list(given[len(sizes) :])
        present = others.pop(0) if self.counts else None
        edges = EdgeTerms(others[0]) if others else None
        mask = z.new_full((z.shape[0], sum(sizes)), self.zoneout) if self.zoneout else None
        around = Frame(present=present, edges=edges)
        return call(self.cell, z, *states, around=around, zoneout=mask)


class Output(nn.Module):
    """The output (N, size), for a cell whose output is not its first state."""

    def __init__(self, cell: Cell):
        super().__init__()
        self.cell = cell

    def forward(self, z: Tensor, *states: Tensor) -> Tensor:
        return self.cell.output(z, *states)


class EdgeTermsOf(nn.Module):
    """What edges add to gates, (E + 1, columns); the last row stands for no edge."""

    def __init__(self, projection: nn.Module):
        super().__init__()
        self.projection = projection

    def forward(self, edge_x: Tensor) -> Tensor:
        return F.pad(self.projection(edge_x), (0, 0, 0, 1))


class Leave(nn.Module):
    """What enters the layer above: `Stack.leave`."""

    def __init__(self, stack: Stack, depth: int):
        super().__init__()
        self.stack, self.depth = stack, depth

    def forward(self, h: Tensor, out: Tensor, x: Tensor) -> Tensor:
        return self.stack.leave(self.depth, h, out, x)


class Scored(nn.Module):
    """The readout and the head: scores, or numbers in the unit of a task that predicts some.

    Called with what leaves the stack (N, size), the sample of every node (N,), the bounds of the
    samples' nodes (B + 1,) and the sinks of every direction.

    Arguments:
        net: the net.
        finish: from the head's outputs to what is returned; None where it is them.
    """

    def __init__(self, net: Net, finish: Callable[[Tensor], Tensor] | None = None):
        super().__init__()
        self.readout, self.head, self.finish = net.readout, net.head, finish

    def forward(self, h: Tensor, sample: Tensor, ptr: Tensor, *sinks: Tensor) -> Tensor:
        return self.of(h, rows_of(sample, ptr, sinks, ptr.shape[0] - 1))

    def of(self, h: Tensor, rows: Batch) -> Tensor:
        """The same for rows that belong to samples as `rows` says."""
        found = self.head(self.readout(h, rows))
        scores = found if isinstance(found, Tensor) else plain_scores(found)
        return scores if self.finish is None else self.finish(scores)


def rows_of(sample: Tensor, ptr: Tensor, sinks: Sequence[Tensor], count: Any) -> Batch:
    """What readouts read of a batch, in which sizes may be symbols."""
    found: Any = SimpleNamespace(
        sample_of_node=lambda: sample,
        ptr=ptr,
        num_samples=count,
        plans=[SimpleNamespace(sinks=one) for one in sinks],
    )
    return found
