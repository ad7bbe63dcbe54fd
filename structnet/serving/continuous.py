"""Continuous batching across structures: samples join between levels, and leave when they are done.

Cellular batching (Gao et al. 2018, "Low latency RNN inference with cellular batching", EuroSys): at
every turn the nodes of all samples in work that are ready are one call of their cell, whichever
samples they are of and whenever these came.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from structnet.cell.adapt import outputs_state
from structnet.cell.call import call, edges_of
from structnet.cell.frame import Frame, first_parameter
from structnet.cell.hooks import compute_weights
from structnet.data.batch import Sample, collate
from structnet.nn.net import Net
from structnet.nn.recurrence import Recurrence
from structnet.nn.stack import Stack
from structnet.registry import nets
from structnet.serving.part import Ints, Part, Piece
from structnet.serving.pool import Pool
from structnet.topology.base import Topology

# What a net of another class must not do in its own way.
METHODS = ("forward", "states", "enter", "_score")


def why_not(net: Any) -> str | None:
    """Why a net can't be batched continuously; None where it can."""
    if not isinstance(net, Net):
        return f"{nets.called(net)} is not made of a stack of recurrences"
    if any(getattr(type(net), name) is not getattr(Net, name) for name in METHODS):
        return f"{nets.called(net)} does more than a stack of recurrences"
    if not isinstance(net.stack, Stack):
        return "net.apart=true has a stack for each direction"
    if any(type(layer) is not Recurrence for layer in net.layers):
        return "its layers are of a class of their own"
    if net.layers[0].topology.num_initial is None and len(net.layers) > 1:
        return "its layers start from the states of the one below"
    return None


class Kind(NamedTuple):
    """Nodes that one call of a cell can take together.

    Arguments:
        depth: of the layer.
        direction: of the layer's.
        slots: how many rows each node reads.
        alone: whether they have no predecessors, so that recurrent products are left out.
    """

    depth: int
    direction: int
    slots: int
    alone: bool


class Continuous:
    """Samples in work in the layers of a net; a turn takes each of them one level further.

    What leaves is what `net` gives for the samples in a batch by themselves, but for the order in
    which a product adds its terms. Not safe for several threads.

    Arguments:
        net: in evaluation; ValueError if `why_not` has a reason.
        topology: the net's.
        rows: the nodes that there is room for to begin with.
    """

    def __init__(self, net: Any, topology: Topology, rows: int = 1024):
        if (why := why_not(net)) is not None:
            raise ValueError(f"no continuous batching: {why}")
        self.net, self.topology, self.stack = net, topology, net.stack
        every = range(len(topology.directions))
        # Directions that run at the same time; one that reads those before it runs after them.
        self.stages = [(one,) for one in every] if topology.in_turn else [tuple(every)]
        self.pool = Pool(rows)
        self.parts: list[Part] = []
        # Of every layer and direction: the columns of what enters the cell, the dtype of states.
        self.kinds: dict[tuple[int, int], tuple[int, torch.dtype]] = {}
        # The nodes of the last turn.
        self.turned = 0

    @property
    def num_nodes(self) -> int:
        """The number of nodes of all samples in work."""
        return self.pool.taken

    def clear(self) -> None:
        """Forget all samples in work."""
        self.pool, self.parts = Pool(self.pool.rows), []

    @torch.inference_mode()
    def admit(self, samples: Sequence[Sample], members: Sequence[Any]) -> None:
        """Take samples in; ValueError, before anything has changed, for any that does not fit.

        Arguments:
            samples: the samples, without parts.
            members: what to call each of them, as `turn` returns it.
        """
        batch = collate(samples, self.topology)
        h = self.net.enter(batch)
        part = Part(members, batch, self.pool.take(batch.num_nodes), h, h)
        self.parts.append(part)
        self._begin([part])

    @torch.inference_mode()
    def turn(self) -> list[Part]:
        """Take every sample one level further; the parts that are done."""
        waiting: defaultdict[Kind, list[tuple[Part, Piece]]] = defaultdict(list)
        for part in self.parts:
            for direction in self.stages[part.stage]:
                levels = part.pieces[direction]
                for piece in levels[part.level] if part.level < len(levels) else ():
                    alone = part.level == 0 and not part.edges
                    waiting[Kind(part.depth, direction, piece.slots, alone)].append((part, piece))
        self.turned = sum(len(piece.nodes) for some in waiting.values() for _, piece in some)
        for kind, found in waiting.items():
            self._call(kind, found)
        for part in self.parts:
            part.level += 1
        return self._rise()

    @torch.inference_mode()
    def scores(self, part: Part) -> Any:
        """What the net gives for the samples of a part that is done."""
        h = part.h
        if self.net.after is not None:
            h = self.net.after(h, part.batch.plans[0])
        return self.net._score(h, part.batch)

    def _call(self, kind: Kind, found: Sequence[tuple[Part, Piece]]) -> None:
        """One call of a cell for the nodes that are ready, of all parts."""
        layer = self.stack.layers[kind.depth]
        cell = layer.cells[kind.direction]
        pieces = [piece for _, piece in found]
        nodes = _index([piece.nodes for piece in pieces])
        shape = len(nodes), kind.slots, -1
        z, tables = self._tables(kind.depth, kind.direction)
        if kind.alone:
            states = [table[:1].expand(*shape) for table in tables]
        else:
            reads = _index([piece.reads for piece in pieces])
            states = [table.index_select(0, reads).view(shape) for table in tables]
        edges = zoneout = None
        if layer.edges is not None:
            terms = [part.edges[kind.direction][piece.entries] for part, piece in found]
            edges = edges_of(torch.cat(terms), kind.slots)
        if layer.noise.zoneout:
            shape = len(nodes), sum(cell.state_sizes)
            zoneout = z.new_full(shape, layer.noise.zoneout)
        around = Frame(None, kind.alone, _present(pieces, kind.slots), edges)
        out = call(cell, z.index_select(0, nodes), *states, around=around, zoneout=zoneout)
        for table, state in zip(tables, out, strict=True):
            table.index_copy_(0, nodes, state.to(table.dtype))

    def _tables(self, depth: int, direction: int) -> tuple[Tensor, list[Tensor]]:
        """What enters a cell, and its states, at every row of the pool."""
        cell = self.stack.layers[depth].cells[direction]
        width, dtype = self.kinds[depth, direction]
        # Layers of one size share tables, as a part is in one layer at a time.
        states = [
            self.pool.table((direction, index), size, dtype)
            for index, size in enumerate(cell.state_sizes)
        ]
        return self.pool.table((direction, "z"), width, dtype), states

    def _rise(self) -> list[Part]:
        """Lead samples that are done with a layer to the next one; those that leave the last."""
        left: list[Part] = []
        while done := [ended for part in self.parts for ended in part.split_done()]:
            self.parts = [part for part in self.parts if part.ends]
            done.sort(key=_place)
            for (depth, stage), some in groupby(done, key=_place):
                group = list(some)
                self._end(group, depth, stage)
                if group[0].depth < len(self.stack.layers):
                    self._begin(group)
                    self.parts += group
                else:
                    left += group
        for part in left:
            self.pool.give_back(part.rows)
        return left

    def _begin(self, parts: Sequence[Part]) -> None:
        """Project what enters a stage of a layer, at once for all nodes of parts."""
        depth, stage = _place(parts[0])
        layer, rows = self.stack.layers[depth], _index([part.rows for part in parts])
        x = torch.cat([torch.cat([part.h, *part.found], dim=1) for part in parts])
        for direction in self.stages[stage]:
            cell = layer.cells[direction]
            compute_weights(cell)
            # A cell that reads its node's own initial states: there are none.
            z = cell.project(F.pad(x, (0, sum(cell.state_sizes))) if cell.reads_own else x)
            self.kinds[depth, direction] = z.shape[1], first_parameter(cell, z).dtype
            self._tables(depth, direction)[0].index_copy_(0, rows, z)
        for part in parts:
            part.begin(self.stages[stage])
            if layer.edges is not None:
                part.edges = layer.edges(part.batch.edge_x, part.batch.plans)

    def _end(self, parts: Sequence[Part], depth: int, stage: int) -> None:
        """Read what a stage of a layer gave, and lead parts to the next stage or layer."""
        layer, sizes = self.stack.layers[depth], [len(part.rows) for part in parts]
        rows = _index([part.rows for part in parts])
        for direction in self.stages[stage]:
            cell = layer.cells[direction]
            z, tables = self._tables(depth, direction)
            if outputs_state(cell):
                output = tables[0].index_select(0, rows)
            else:
                output = cell.output(*(one.index_select(0, rows) for one in (z, *tables)))
            for part, own in zip(parts, output.split(sizes), strict=True):
                part.found.append(own)
        last = stage == len(self.stages) - 1
        if last:
            out = torch.cat([torch.cat(part.found, dim=1) for part in parts])
            x = torch.cat([part.enters for part in parts])
            h = self.stack.leave(depth, torch.cat([part.h for part in parts]), out, x)
            for part, own in zip(parts, h.split(sizes), strict=True):
                part.h, part.found = own, []
        for part in parts:
            part.stage = 0 if last else stage + 1
            part.depth += last


def _place(part: Part) -> tuple[int, int]:
    return part.depth, part.stage


def _index(rows: Sequence[Ints]) -> Tensor:
    return torch.from_numpy(rows[0] if len(rows) == 1 else np.concatenate(rows))


def _present(pieces: Sequence[Piece], slots: int) -> Tensor | None:
    """Which of the rows that are read count in means, (n, slots, 1); None if all do."""
    if all(piece.present is None for piece in pieces):
        return None
    flags = [
        np.ones(len(piece.reads), bool) if piece.present is None else piece.present
        for piece in pieces
    ]
    return torch.from_numpy(np.concatenate(flags)).view(-1, slots, 1)
