"""Siamese nets: two structures read with the same weights, and compared.

B: samples.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

import structnet as sn

# What the further structure of a sample is called in `Task.parts`.
SECOND = "second"
ACTIVATIONS = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}


@sn.nets.register("siamese")
class Siamese(nn.Module):
    """Two structures of one topology, read with the same weights, and what they have in common.

    The first structure is the sample, the second one its part `second`. The readout gives a vector
    of each, a and b; a hidden layer reads their distance |a - b| and their angle a * b, component
    by component (Tai et al. 2015, section 4.2, eq. 15), and a and b themselves, as from distance
    and angle alone the order of the two can't be told. The head scores the hidden layer.

    Arguments:
        symmetric: whether a and b themselves are left out, so that both orders have the same
            scores, as in the paper.
        comparison_size: the units of the hidden layer.
        activation: of the hidden layer; sigmoid in the paper.
        comparison_dropout: the probability with which a unit of the hidden layer is dropped.
        options: of the net that reads each structure.
    """

    # What `**options` are.
    options_of: ClassVar = {
        sn.Net: (
            "input", "vectors", "embedding_size", "characters", "character_size", "hidden_size",
            "num_layers", "before", "after", "apart", "skip", "dropout", "input_dropout",
            "output_dropout", "variational", "word_dropout", "embedding_dropout", "edges",
            "recurrent_dropout", "zoneout", "weight_drop", "truncate", "executor", "save",
        )
    }  # fmt: skip
    initial_options: ClassVar = ("vectors",)

    def __init__(
        self,
        sizes: sn.Sizes,
        topology: sn.Topology | str,
        cell: Callable[[int, int, int | None], sn.Cell] | str,
        readout: Callable[[int, int], sn.Readout] | str,
        head: Callable[[int, sn.Sizes], sn.Head],
        *,
        symmetric: bool = False,
        comparison_size: int = 64,
        activation: Literal["sigmoid", "tanh", "relu"] = "tanh",
        comparison_dropout: float = 0.0,
        **options: Any,
    ):
        """ValueError for a task without pairs, and for options that do not fit."""
        super().__init__()
        _check(sizes, comparison_size, comparison_dropout)
        inner = replace(sizes, parts=())
        self.encoder = sn.Net(inner, topology, cell, readout, _no_head, **options)
        self.symmetric = symmetric
        size = self.encoder.readout.output_size
        self.comparison = nn.Sequential(
            nn.Linear((2 if symmetric else 4) * size, comparison_size),
            ACTIVATIONS[activation](),
            nn.Dropout(comparison_dropout),
        )
        self.head = head(comparison_size, replace(inner, vocabulary=None))
        if isinstance(self.head, sn.JointHead):
            raise ValueError(
                f"{sn.heads.called(self.head)} scores the nodes of a structure, and net "
                "'siamese' compares two structures: take head=softmax"
            )
        self._penalties: list[Tensor] = []

    @property
    def penalty(self) -> Tensor | None:
        """What the last pass in training adds to the loss; None for nothing."""
        return torch.stack(self._penalties).sum() if self._penalties else None

    def forward(self, batch: sn.Batch) -> Tensor | sn.Scores:
        if len(batch.parts) != 1:
            raise ValueError(
                f"net 'siamese' compares two structures, these samples have {len(batch.parts)} "
                "parts: give sn.Sample one part, the second structure"
            )
        self._penalties = []
        b = self.encode(batch.parts[0])
        a = self.encode(replace(batch, parts=()))
        return self.head(self.comparison(self.compare(a, b)))

    def encode(self, batch: sn.Batch) -> Tensor:
        """The vectors (B, size) of structures."""
        vector = self.encoder(batch)
        if (penalty := self.encoder.penalty) is not None:
            self._penalties.append(penalty)
        if len(vector) != batch.num_samples:
            raise ValueError(
                f"net 'siamese' compares one vector per structure, the readout gives {len(vector)} "
                f"for {batch.num_samples} structures: take readout=root, mean, max or attention"
            )
        return vector

    def compare(self, a: Tensor, b: Tensor) -> Tensor:
        """What the hidden layer reads of two vectors each (B, size)."""
        both = sn.compare_pair(a, b)
        return both if self.symmetric else torch.cat([a, b, both], dim=1)


def _no_head(size: int, sizes: sn.Sizes) -> Any:
    return nn.Identity()


def _check(sizes: sn.Sizes, comparison_size: int, dropout: float) -> None:
    if list(sizes.parts) != [SECOND]:
        raise ValueError(
            f"net 'siamese' compares two structures, and this task has no part {SECOND!r}: take a "
            "task of pairs, such as task=logic or task=sick_entailment, or another net"
        )
    if comparison_size < 1:
        raise ValueError(f"option 'comparison_size' is at least 1, got {comparison_size}")
    if not 0 <= dropout < 1:
        raise ValueError(f"option 'comparison_dropout' is from 0 to below 1, got {dropout}")
