"""The captioner: a language model that starts from an image, or reads it at every step.

B: samples; N: steps of all samples; E: features of an encoded condition.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

import structnet as sn
from structnet.plugins.sequence.captions.condition import Picture
from structnet.plugins.sequence.generation.starts import Start, zeros

# An upper bound beyond any real net.
MOST_FEATURES = 1 << 16


@sn.nets.register("captioner")
class Captioner(nn.Module):
    """A generator of texts that is conditioned on an image and a language.

    A convolutional network encodes the image; with the language it makes one vector. That gives the
    initial states of every layer, as the generator of Cho et al. (2014) starts from its encoder's
    state, or is joined to every step's input, or both (Vinyals et al. 2015 and Mao et al. 2015 did
    the one and the other). States are tanh of a linear map, or its logistic function for the
    normaliser n of a cell that has one. Called with a batch, the net returns the scores of the next
    token at every step.

    Arguments:
        condition: where the vector enters: state, the initial states; input, every step's input;
            both.
        channels: the channels of the encoder's first block; every further block has twice as many.
        blocks: the number of blocks of two 3 x 3 convolutions and a maximum over 2 x 2 pixels.
        encoding_size: the size of the vector.
        encoder_dropout: the probability with which a feature that leaves the last block is dropped.
        embedding_size: the size of a token's embedding.
        options: of the recurrent layers.
    """

    # What `**options` are.
    options_of: ClassVar = {
        sn.Net: (
            "hidden_size", "num_layers", "skip", "dropout", "recurrent_dropout", "zoneout",
            "weight_drop", "truncate", "executor", "save",
        )
    }  # fmt: skip

    def __init__(
        self,
        sizes: sn.Sizes,
        topology: sn.Topology,
        cell: Callable[..., sn.Cell],
        readout: Callable[[int, int], sn.Readout],
        head: Callable[[int, sn.Sizes], sn.Head],
        *,
        condition: Literal["state", "input", "both"] = "state",
        channels: int = 16,
        blocks: int = 2,
        encoding_size: int = 128,
        encoder_dropout: float = 0.3,
        embedding_size: int = 32,
        **options: Any,
    ):
        """ValueError for a task without images, a topology that is not a chain, or a bad option."""
        super().__init__()
        if not isinstance(sizes.condition, Picture) or sizes.vocabulary is None:
            raise ValueError(
                "net 'captioner' writes texts about images, which this task does not have: take "
                "task=captions, or another net"
            )
        bounds = {"channels": channels, "blocks": blocks, "encoding_size": encoding_size,
                  "embedding_size": embedding_size}  # fmt: skip
        for name, value in bounds.items():
            if not 1 <= value <= MOST_FEATURES:
                raise ValueError(f"option {name!r} is from 1 to {MOST_FEATURES}, got {value}")
        if not 0 <= encoder_dropout < 1:
            raise ValueError(
                f"option 'encoder_dropout' is from 0 to below 1, got {encoder_dropout}"
            )
        self.picture, self.topology = sizes.condition, topology
        self.encoder = Encoder(self.picture, channels, blocks, encoding_size, encoder_dropout)
        self.embedding = nn.Embedding(len(sizes.vocabulary), embedding_size)
        self.joins = condition != "state"
        read = embedding_size + encoding_size * self.joins
        inner = replace(sizes, vocabulary=None, input_size=read, condition=None)
        self.decoder = sn.Net(inner, topology, cell, readout, head, **options)
        # ValueError for a topology that is not read step by step.
        self.decoder.stepper()
        self.starts = None
        if condition != "input":
            layers = self.decoder.layers
            self.starts = nn.ModuleList(Start(encoding_size, layer.cells[0]) for layer in layers)

    def forward(self, batch: sn.Batch) -> Tensor | sn.Scores:
        given = self.encode(batch.condition)
        x = self._join(batch.x.ids, given[batch.sample_of_node()])
        inner = replace(batch, x=x, condition=None)
        return self.decoder.carry(inner, self._start(given))[0]

    def encode(self, condition: Tensor | None) -> Tensor:
        """The vector (B, E) of conditions (B, size); ValueError for others."""
        if condition is None or condition.ndim != 2 or condition.shape[1] != self.picture.size:
            got = "none" if condition is None else f"shape {tuple(condition.shape)}"
            raise ValueError(
                f"a captioner's condition is an image and a language, {self.picture.size} numbers "
                f"per sample, got {got}"
            )
        return self.encoder(condition.to(self.embedding.weight.dtype))

    def stepper(self, batch: int = 1, condition: Tensor | None = None) -> sn.Stepper:
        """The net fed one token (B,) at a time; a step returns the scores of the next.

        Arguments:
            batch: the number of samples.
            condition: of every sample, (B, size); it is part of the stepper's state.

        ValueError without a condition.
        """

        def advance(x: Tensor, plans: Any, state: Any) -> tuple[Any, Any]:
            layers, (vector,) = state
            ptr = torch.arange(len(x) + 1, device=x.device)
            none = ptr.new_zeros(len(x))
            inner = sn.Batch(self._join(x, vector), plans, ptr, none, none)
            y, layers = self.decoder.carry(inner, layers)
            return y, (tuple(map(tuple, layers)), (vector,))

        stepper = sn.Stepper(self, self.topology, advance, batch)
        was_training = self.training
        self.eval()
        with torch.no_grad():
            given = self.encode(condition)
            start = self._start(given), (given,)
        self.train(was_training)
        if len(given) != batch:
            raise ValueError(f"{len(given)} conditions for a stepper of {batch} samples")
        stepper.load_state(start)
        return stepper

    def _start(self, given: Tensor) -> tuple[tuple[Tensor, ...], ...]:
        """The initial states of every layer."""
        if self.starts is None:
            return tuple(zeros(layer, given) for layer in self.decoder.layers)
        return tuple(start(given) for start in self.starts)

    def _join(self, ids: Tensor, given: Tensor) -> Tensor:
        """What the decoder reads for tokens (n,) with vectors (n, E)."""
        x = self.embedding(ids)
        return torch.cat([x, given], dim=1) if self.joins else x


class Encoder(nn.Module):
    """A vector (B, E) of images and languages."""

    def __init__(self, picture: Picture, channels: int, blocks: int, size: int, dropout: float):
        super().__init__()
        self.picture = picture
        layers: list[nn.Module] = []
        below, height, width = picture.channels, picture.height, picture.width
        for depth in range(blocks):
            above = min(channels << depth, MOST_FEATURES)
            layers += [
                nn.Conv2d(below, above, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(above, above, 3, padding=1),
                nn.ReLU(),
                # Windows at the edges are kept, however small the image is.
                nn.MaxPool2d(2, ceil_mode=True),
            ]
            below, height, width = above, -(-height // 2), -(-width // 2)
        self.blocks = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(dropout))
        self.map = nn.Linear(below * height * width, size)
        self.scale = nn.LayerNorm(size, elementwise_affine=False)
        # Of the scale of what comes from the image: else the language would be learned slowly.
        self.language = nn.Embedding(picture.languages, size)
        self.norm = nn.LayerNorm(size)

    def forward(self, condition: Tensor) -> Tensor:
        images, languages = self.picture.parts(condition)
        image = self.scale(self.map(self.blocks(images)))
        return self.norm(image + languages @ self.language.weight).relu()
