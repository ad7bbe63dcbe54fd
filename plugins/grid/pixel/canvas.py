"""What a net for pixels runs on: the whole batch at once, or the nodes of one sampling step.

A net is written once, in `run(canvas)`, over the features (n, D) of the canvas's current nodes.
Whatever reads other nodes is a method of the canvas; everything else maps each row on its own. A
canvas has `input`, to be passed to `taps` and `convolve` only, and `given` (n, G), the features of
the condition, or None.

N: nodes; n: current nodes; T: taps; D: features.
"""

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, Protocol

import torch
from torch import Tensor, nn

import structnet as sn
from structnet.plugins.grid.pixel.layout import OWN, Layout, Taps, beside, gather
from structnet.plugins.grid.pixel.masked import Masked, advance


class Canvas(Protocol):
    input: Tensor

    @property
    def given(self) -> Tensor | None: ...

    def taps(self, owner: nn.Module, x: Tensor, taps: Taps) -> Tensor:
        """The features (n, T * D) at the taps of every node, zeros outside the image."""
        ...

    def convolve(self, layer: Masked, x: Tensor) -> Tensor:
        """A masked linear map of the features at its taps and of `given`."""
        ...

    def sweep(self, layer: "Sweep", x: Tensor) -> Tensor:
        """The outputs of a recurrence for inputs x."""
        ...

    def above(self, module: "Made", x: Tensor, size: int, rows: int = 1) -> Tensor:
        """`module(canvas, x)` (n, size), moved down by `rows`, with zeros at the top.

        The module may therefore read its own row in both directions.
        """
        ...


# A module that maps features (n, D) on a canvas.
Made = Callable[[Canvas, Tensor], Tensor]


class Sweep(nn.Module):
    """A recurrence in one direction of a topology, whose output is moved down by `rows`.

    With `sees_input` it also reads its own pixel, which is an earlier pixel where the output is
    moved down.
    """

    def __init__(
        self,
        recurrence: sn.Recurrence,
        direction: int,
        offsets: Taps,
        rows: int,
        sees_input: bool,
    ):
        super().__init__()
        self.recurrence, self.direction = recurrence, direction
        self.offsets, self.rows, self.sees_input = offsets, rows, sees_input

    def forward(self, canvas: Canvas, x: Tensor) -> Tensor:
        if not self.rows:
            return canvas.sweep(self, x)
        return canvas.above(self._along_row, x, self.recurrence.output_size, self.rows)

    def _along_row(self, canvas: Canvas, x: Tensor) -> Tensor:
        if self.sees_input:
            x = torch.cat([x, canvas.taps(self, canvas.input, OWN)], dim=1)
        return canvas.sweep(self, x)


class Whole:
    """All nodes at once."""

    def __init__(
        self, layout: Layout, plans: Sequence[sn.Plan], input: Tensor, given: Tensor | None
    ):
        self.layout, self.plans, self.input, self.given = layout, plans, input, given

    def taps(self, owner: nn.Module, x: Tensor, taps: Taps) -> Tensor:
        return gather(x, self.layout.table(taps))

    def convolve(self, layer: Masked, x: Tensor) -> Tensor:
        kernel, (up, aside) = layer.kernel(), layer.margins
        images = []
        for _, image in self.layout.images(x):
            padded = nn.functional.pad(image, (aside, aside, up, 0))
            images.append(nn.functional.conv2d(padded, kernel, layer.bias))
        y = self.layout.nodes(images)
        if self.given is None or not layer.given:
            return y
        return y + nn.functional.linear(self.given, layer.weight[:, -layer.given :])

    def sweep(self, layer: Sweep, x: Tensor) -> Tensor:
        h = layer.recurrence(x, [self.plans[layer.direction]])
        assert isinstance(h, Tensor)
        return h

    def above(self, module: Made, x: Tensor, size: int, rows: int = 1) -> Tensor:
        return gather(module(self, x), self.layout.table(((-rows, 0),)))


class Front:
    """The nodes of one sampling step, where the features of all nodes they read are stored.

    The features and states of every layer are stored in tables (N + 1, D) whose last row is zero.
    `nodes` are the nodes of the current step; `ended` are those of rows that have just been
    completed and can now be read in both directions, or None.
    """

    def __init__(
        self, layout: Layout, plans: Sequence[sn.Plan], input: Tensor, given: Tensor | None
    ):
        self.layout, self.plans, self._given = layout, plans, given
        self.input = torch.cat([input, input.new_zeros(1, input.shape[1])])
        self.nodes = self.input.new_zeros(0, dtype=torch.long)
        self.ended: Tensor | None = None
        self.is_row = False
        self._memory: dict[Any, Tensor] = {}

    @property
    def given(self) -> Tensor | None:
        return None if self._given is None else self._given[self.nodes]

    def taps(self, owner: nn.Module, x: Tensor, taps: Taps) -> Tensor:
        memory = x if x is self.input else self._keep(owner, x)
        return self._look(memory, taps)

    def convolve(self, layer: Masked, x: Tensor) -> Tensor:
        rows = self.taps(layer, x, layer.taps)
        return layer(beside(rows, self.given if layer.given else None))

    def sweep(self, layer: Sweep, x: Tensor) -> Tensor:
        cell: Any = layer.recurrence.cells[0]
        table = self.layout.table(layer.offsets)
        z = cell.project(x)
        outputs = z.new_empty(len(z), layer.recurrence.output_size)
        for part in self._in_order(layer.direction):
            nodes = self.nodes[part]
            before = table[nodes]
            tables = [
                self._table((layer, place), size, z) for place, size in enumerate(cell.state_sizes)
            ]
            states = [memory[before] for memory in tables]
            with sn.counting(self._counted(layer.direction, nodes)):
                outputs[part], new = advance(cell, z[part], states)
            for memory, state in zip(tables, new, strict=True):
                memory.index_copy_(0, nodes, state)
        return outputs

    def above(self, module: Made, x: Tensor, size: int, rows: int = 1) -> Tensor:
        read = x if x is self.input else self._keep((module, "read"), x)
        made = self._table((module, "made"), size, self.input)
        if self.ended is not None:
            row = copy(self)
            row.nodes, row.ended, row.is_row = self.ended, None, True
            of_row = module(row, x if x is self.input else read[row.nodes])
            made.index_copy_(0, row.nodes, of_row)
        return self._look(made, ((-rows, 0),))

    def _in_order(self, direction: int) -> list[Any]:
        """The current nodes in groups, in the order in which the sweep depends on them."""
        if not self.is_row:
            return [slice(None)]
        plan = self.plans[direction]
        rank = plan.rank.to(self.nodes.device)[self.nodes]
        ends = torch.tensor(plan.levels[1:], device=rank.device)
        level = torch.searchsorted(ends, rank, right=True)
        return [(level == one).nonzero()[:, 0] for one in level.unique()]

    def _counted(self, direction: int, nodes: Tensor) -> Tensor | None:
        """The slots (n, K) of the nodes that count, None where all do."""
        plan = self.plans[direction]
        if plan.counts is None:
            return None
        by_rank = plan.counts.view(plan.num_nodes, -1)
        return by_rank[plan.rank[nodes.to(plan.rank.device)]].to(nodes.device)

    def _keep(self, owner: Any, x: Tensor) -> Tensor:
        return self._table(owner, x.shape[1], x).index_copy_(0, self.nodes, x)

    def _look(self, memory: Tensor, taps: Taps) -> Tensor:
        table = self.layout.table(taps)[self.nodes]
        return memory.index_select(0, table.flatten()).view(len(table), -1)

    def _table(self, owner: Any, size: int, like: Tensor) -> Tensor:
        if owner not in self._memory:
            self._memory[owner] = like.new_zeros(self.layout.num_nodes + 1, size)
        return self._memory[owner]


class Reach:
    """A single node that records which `offsets` the net reads, and whether it reads along rows."""

    def __init__(self, input: Tensor, given: Tensor | None):
        self.input, self.given = input[:1], given if given is None else given[:1]
        self.offsets: set[tuple[int, int]] = set()
        self.along_rows = False

    def taps(self, owner: nn.Module, x: Tensor, taps: Taps) -> Tensor:
        self.offsets.update(taps)
        return x.repeat(1, len(taps))

    def convolve(self, layer: Masked, x: Tensor) -> Tensor:
        self.offsets.update(layer.taps)
        return x.new_zeros(1, layer.out_features)

    def sweep(self, layer: Sweep, x: Tensor) -> Tensor:
        self.offsets.update(layer.offsets)
        return x.new_zeros(1, layer.recurrence.output_size)

    def above(self, module: Made, x: Tensor, size: int, rows: int = 1) -> Tensor:
        self.along_rows = True
        return x.new_zeros(1, size)
