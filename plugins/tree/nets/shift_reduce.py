"""A tree's states by shift and reduce."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

from torch import Tensor, nn

import structnet as sn
from structnet.plugins.tree.nets.thin_stack import step_plan


@sn.nets.register("shift_reduce")
class ShiftReduce(nn.Module):
    """Binary trees built step by step, by shift and reduce with a thin stack.

    Bowman et al. (2016), SPINN without tracking (SPINN-PI-NT): words are shifted onto a stack, and
    a reduction replaces the two items on top by the cell's states of both; all sentences of a batch
    take a step at a time. The states of all nodes are those of net `stack` with the same weights,
    which computes them in fewer and larger steps.

    Arguments:
        options: those of net `stack`.
    """

    # What `**options` are.
    options_of: ClassVar = {
        sn.Net: (
            "input", "vectors", "embeddings", "embedding_size", "characters", "character_size",
            "hidden_size", "parameters", "num_layers", "skip", "dropout", "input_dropout",
            "output_dropout", "variational", "word_dropout", "embedding_dropout",
            "recurrent_dropout", "zoneout", "weight_drop", "truncate", "executor", "save",
        )
    }  # fmt: skip
    # Options that only give initial weights: a saved net is built without them.
    initial_options: ClassVar = sn.Net.initial_options

    def __init__(
        self,
        sizes: sn.Sizes,
        topology: sn.Topology | str,
        cell: Callable[[int, int, int | None], sn.Cell] | str,
        readout: Callable[[int, int], sn.Readout] | str,
        head: Callable[[int, sn.Sizes], sn.Head] | str = "softmax",
        **options: Any,
    ):
        """ValueError for another topology than binary trees read upward, and for wrong options."""
        super().__init__()
        on = sn.topologies.create(topology) if isinstance(topology, str) else topology
        if on.takes != "tree" or on.arity != 2 or on.directions != ("up",):
            raise ValueError(
                "net 'shift_reduce' builds binary trees from their leaves up: take topology=tree "
                f"with arity=2 and direction=up, got {sn.topologies.called(on)} with arity "
                f"{on.arity} and direction {' and '.join(on.directions)}"
            )
        self.net = sn.Net(sizes, on, cell, readout, head, **options)

    @property
    def penalty(self) -> Tensor | None:
        """What the last pass in training adds to the loss; None for nothing."""
        return self.net.penalty

    def forward(self, batch: sn.Batch) -> Tensor | sn.Scores:
        return self.net(self._stepwise(batch))

    def states(self, batch: sn.Batch) -> Tensor:
        """What the readout reads: the output (N, size) of the last layer at every node."""
        return self.net.states(self._stepwise(batch))

    def _stepwise(self, batch: sn.Batch) -> sn.Batch:
        return replace(batch, plans=(step_plan(batch.plans[0]),))
