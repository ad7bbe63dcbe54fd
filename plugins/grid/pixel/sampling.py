"""Sampling: pixels that don't depend on each other are drawn together, in all images at once.

The offsets that a net reads say which these are. The features and states of every layer are
stored, so that a step computes those of its own nodes only.

N: nodes; C: channels.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import parametrize

import structnet as sn
from structnet.plugins.grid.likelihood import Likelihood
from structnet.plugins.grid.pixel.canvas import Front, Reach
from structnet.plugins.grid.pixel.layout import Layout
from structnet.plugins.grid.pixel.layout import layout as find_layout
from structnet.plugins.grid.pixel.net import PixelNet


class Step(NamedTuple):
    """The nodes of one step, and those of the rows that have just been completed, or None."""

    nodes: Tensor
    ended: Tensor | None


class Sampler:
    """A net on partly drawn images, step by step in the order of `steps`.

    `batch` has the sizes of the images and the condition; its x is not used.
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
            Step(
                torch.from_numpy(nodes).to(device),
                None if ended is None else torch.from_numpy(ended).to(device),
            )
            for nodes, ended in _levels(layout, reach)
        ]

    def outputs(self, step: Step, again: bool = False) -> Tensor:
        """The outputs (n, outputs) for a step's pixels, given the pixels passed to `show`.

        `again` is for a second call at the same step, after more channels have been shown.
        """
        self.front.nodes, self.front.ended = step.nodes, None if again else step.ended
        return self.net.run(self.front)

    def show(self, step: Step, x: Tensor) -> None:
        """Show the net the pixels (n, C) of a step."""
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
    """Draw images, values (N, C); where `keep` (N,) is true, pixels are those of `known` (N, C).

    Arguments:
        encode: maps values to the net's input.
        temperature: log-probabilities are divided by it.
        track: wraps the steps, to show progress.
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
            # Channels that are not drawn yet are zero, and no output sees them.
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
    # An ordinary tensor, made outside inference mode.
    return values.clone()


def _levels(layout: Layout, reach: Reach) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """The nodes of every step, and those of rows that are complete just before it."""
    image, row, column = layout.places().T
    begins = (column == 0) & (row > 0) & reach.along_rows
    taps = sorted(reach.offsets - {(0, 0)} | ({(0, -1)} if reach.along_rows else set()))
    table = layout.neighbours(tuple(taps))
    # The last node of the row above has the number just before.
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
