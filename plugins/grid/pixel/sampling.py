"""Sampling: pixels that don't look at each other are drawn together, in all images at once.

What a net looks at says which those are; every layer's features and states are kept, so that a
level costs its own nodes alone.

N: nodes; C: channels.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import parametrize

import structnet as sn
from structnet.plugins.grid.pixel.canvas import Front, Reach
from structnet.plugins.grid.pixel.layout import Layout
from structnet.plugins.grid.pixel.layout import layout as find_layout
from structnet.plugins.grid.pixel.likelihood import Likelihood
from structnet.plugins.grid.pixel.net import PixelNet


class Step(NamedTuple):
    """The nodes of a level, and those of the rows that have just ended, None for none."""

    nodes: Tensor
    ended: Tensor | None


class Sampler:
    """A net on images of which it has seen a part: level by level, in the order of `steps`.

    `batch` says how large the images are, and what the net is given; its x is of no account.
    """

    def __init__(self, net: PixelNet, batch: sn.Batch):
        device = batch.ptr.device
        self.net, layout = net, find_layout(batch.shapes, device)
        given, like = net.give(batch), next(net.parameters())
        empty = like.new_zeros(layout.num_nodes, len(net.channels))
        self.front = Front(layout, batch.plans, empty, given)
        reach = Reach(empty, given)
        net.run(reach)
        self.steps = [
            Step(*(part if part is None else torch.from_numpy(part).to(device) for part in step))
            for step in _levels(layout, reach)
        ]

    def outputs(self, step: Step, again: bool = False) -> Tensor:
        """What the net says of a step's pixels (n, outputs); `again`, with more of their channels.

        The channels and pixels before are those that `show` has been given.
        """
        self.front.nodes, self.front.ended = step.nodes, None if again else step.ended
        return self.net.run(self.front)

    def show(self, step: Step, x: Tensor) -> None:
        """Let the net see a step's pixels (n, C)."""
        self.front.input.index_copy_(0, step.nodes, x.to(self.front.input.dtype))


def sample(
    net: PixelNet,
    batch: sn.Batch,
    likelihood: Likelihood,
    encode: Callable[[Tensor], Tensor],
    *,
    known: Tensor | None = None,
    keep: Tensor | None = None,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
    track: Callable[[Sequence[Step]], Iterable[Step]] = iter,
) -> Tensor:
    """Draw images: values (N, C), the pixels `keep` (N,) as they are in `known` (N, C).

    `encode` makes the net's input of values. `track` may show how far it is.
    """
    with torch.inference_mode(), parametrize.cached():
        sampler = Sampler(net, batch)
        layout = sampler.front.layout
        values = torch.zeros(layout.num_nodes, len(net.channels), dtype=torch.long)
        values = values.to(batch.ptr.device)
        drawn = torch.ones(layout.num_nodes, dtype=torch.bool, device=values.device)
        if known is not None and keep is not None:
            values[keep], drawn = known[keep], ~keep
        for step in track(sampler.steps):
            # Channels that are still to be drawn are zero, which no output sees.
            mine, fresh = values[step.nodes], drawn[step.nodes]
            sampler.show(step, encode(mine))
            output = sampler.outputs(step)
            for channel in range(len(net.channels)):
                if 0 < channel < net.groups:
                    sampler.show(step, encode(mine))
                    output = sampler.outputs(step, again=True)
                new = likelihood.draw(output, mine, channel, temperature, generator)
                mine[:, channel] = torch.where(fresh, new, mine[:, channel])
            values[step.nodes] = mine
            sampler.show(step, encode(mine))
    # A tensor like any other, outside inference mode.
    return values.clone()


def _levels(layout: Layout, reach: Reach) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Which nodes can be drawn together, and the nodes of the rows that end before them."""
    image, row, column = layout.places().T
    begins = (column == 0) & (row > 0) & reach.along_rows
    taps = sorted(reach.offsets - {(0, 0)} | ({(0, -1)} if reach.along_rows else set()))
    table = layout.neighbours(tuple(taps))
    # The node that ends the row above comes just before.
    ends = np.where(begins, np.arange(layout.num_nodes) - 1, layout.num_nodes)
    table = np.column_stack([table, ends])
    plan = sn.schedule(np.where(table == layout.num_nodes, -1, table), ptr=layout.starts)
    order = plan.order.numpy()
    width = np.array([shape[1] for shape in layout.shapes])
    for start, stop in zip(plan.levels[:-1], plan.levels[1:], strict=True):
        level = order[start:stop]
        first = level[begins[level]]
        ended = [np.arange(node - width[image[node]], node) for node in first]
        yield level, np.concatenate(ended) if ended else None
