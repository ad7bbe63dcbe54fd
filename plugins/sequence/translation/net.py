"""The encoder and decoder: from a structure of any topology to a sequence of tokens.

B: samples, T: steps of a sample's target.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

import structnet as sn
from structnet.plugins.sequence.translation.attention import Memory
from structnet.plugins.sequence.translation.decoder import (
    Condition,
    Decoder,
    Encoded,
    State,
    no_head,
)

# Options that draw once for a whole sequence.
WHOLE = ("variational", "recurrent_dropout", "weight_drop")


@sn.nets.register("seq2seq")
class Seq2Seq(nn.Module):
    """An encoder of the run's topology, and a decoder that writes a sequence of tokens.

    The encoder reads a sample, the decoder is a chain over the sample's part `target`. What the
    readout gives of the encoder's states is one vector, from which the decoder starts (Sutskever et
    al. 2014, Cho et al. 2014), or which is joined to its input at every step. With attention every
    step also reads a weighted mean c of the encoder's states at all nodes, and is scored by
    tanh(W [h; c]) of its own state h (Luong et al. 2015, eq. 5). Called with a batch, the net
    returns the scores of the next token at every step of the targets.

    Arguments:
        condition: where the vector enters: state, the initial states of every layer; input, every
            step's input; both; or none, where there is attention.
        attention: how a step's state and a node's are compared; none for no attention.
        heads: the number of heads of attention.
        input_feeding: whether a step reads tanh(W [h; c]) of the step before (Luong et al. 2015,
            section 3.3). Training then goes step by step; else a target is one recurrence.
        embedding_size: the size of a token's embedding, for sources and targets.
        hidden_size: the units of a layer, of the encoder in each direction.
        num_layers: the number of layers of encoder and decoder each.
        encoder_size: the units of a layer of the encoder; null for `hidden_size`.
        encoder_layers: the number of its layers; null for `num_layers`.
        word_dropout: a, by which a token of a source that is seen n times in training is taken as
            unknown with probability a / (a + n).
        tied: whether the head shares the weights of the embedding of targets.
        options: of the recurrent layers of both.
    """

    # What `**options` are.
    options_of: ClassVar = {
        sn.Net: (
            "skip", "dropout", "input_dropout", "output_dropout", "variational",
            "recurrent_dropout", "zoneout", "weight_drop", "truncate", "executor", "save",
        )
    }  # fmt: skip

    def __init__(
        self,
        sizes: sn.Sizes,
        topology: sn.Topology | str,
        cell: Callable[[int, int, int | None], sn.Cell] | str,
        readout: Callable[[int, int], sn.Readout] | str,
        head: Callable[[int, sn.Sizes], sn.Head],
        *,
        condition: Condition = "state",
        attention: Literal["none", "dot", "additive"] = "additive",
        heads: int = 1,
        input_feeding: bool = False,
        embedding_size: int = 128,
        hidden_size: int = 128,
        num_layers: int = 1,
        encoder_size: int | None = None,
        encoder_layers: int | None = None,
        word_dropout: float = 0.0,
        tied: bool = False,
        **options: Any,
    ):
        """ValueError for a task without targets to write, and for options that do not fit."""
        super().__init__()
        _check(sizes, condition, attention, heads)
        if input_feeding:
            _check_feeding(attention, options)
        for name, size in (("encoder_size", encoder_size), ("encoder_layers", encoder_layers)):
            if size is not None and size < 1:
                raise ValueError(f"option {name!r} is at least 1, got {size}")
        inner = replace(sizes, parts=(), transitions=None)
        self.encoder = sn.Net(
            inner, topology, cell, readout, no_head, embedding_size=embedding_size,
            hidden_size=encoder_size or hidden_size, num_layers=encoder_layers or num_layers,
            word_dropout=word_dropout, **options,
        )  # fmt: skip
        read, memory = self.encoder.readout.output_size, self.encoder.stack.output_size
        self.decoder = Decoder(
            sizes.num_outputs, read, memory, cell, condition=condition, attention=attention,
            heads=heads, input_feeding=input_feeding, embedding_size=embedding_size,
            hidden_size=hidden_size, num_layers=num_layers, **options,
        )  # fmt: skip
        shared = self.decoder.embedding if tied else None
        scored = replace(inner, vocabulary=None, embedding=shared)
        self.head = head(self.decoder.size, scored)
        if isinstance(self.head, sn.JointHead):
            raise ValueError(
                f"{sn.heads.called(self.head)} scores all nodes of a sample at once, and net "
                "'seq2seq' writes token by token: take head=softmax"
            )

    @property
    def penalty(self) -> Tensor | None:
        """What the last pass in training adds to the loss; None for nothing."""
        return self.encoder.penalty

    def forward(self, batch: sn.Batch) -> Tensor | sn.Scores:
        return self.head(self.decoder(self.encode(batch), _target(batch))[0])

    def weights(self, batch: sn.Batch) -> list[Tensor]:
        """The weights of attention for every sample, the mean of all heads (T, nodes).

        The targets are those of the batch. ValueError for a net without attention.
        """
        if self.decoder.attention is None:
            raise ValueError("the net has no attention: train one with net.attention=additive")
        target = _target(batch)
        _, weights = self.decoder(self.encode(batch), target)
        sizes = zip(target.ptr.diff().tolist(), batch.ptr.diff().tolist(), strict=True)
        every = zip(weights.mean(1), sizes, strict=True)
        return [one[:steps, :nodes] for one, (steps, nodes) in every]

    def encode(self, batch: sn.Batch) -> Encoded:
        """What the decoder knows of a batch's samples."""
        source = replace(batch, parts=())
        h = self.encoder.states(source)
        return self.decoder.know(self.encoder.readout(h, source), h, source.ptr)

    def stepper(self, batch: sn.Batch | int = 1) -> sn.Stepper:
        """The decoder fed one token (B,) at a time; a step returns the scores of the next.

        What it knows of the sources is part of the stepper's state. ValueError without sources.

        Arguments:
            batch: the sources.
        """
        if not isinstance(batch, sn.Batch):
            raise ValueError(
                f"a stepper of net 'seq2seq' starts from sources, an sn.Batch, got {batch!r}: "
                "structnet translate writes about them"
            )

        def advance(ids: Tensor, plans: Any, state: Any) -> tuple[Any, Any]:
            # Of a state that rows were taken from, parts are plain tuples.
            before, (vector, memory) = state
            known = Encoded(vector, Memory(*memory) if memory else ())
            out, after, _ = self.decoder.step(ids, plans, State(*before), known)
            return self.head(out), (after, known)

        stepper = sn.Stepper(self, self.decoder.topology, advance, batch.num_samples)
        was_training = self.training
        self.eval()
        with torch.no_grad():
            known = self.encode(batch)
            stepper.load_state((self.decoder.start(known), known))
        self.train(was_training)
        return stepper


def _target(batch: sn.Batch) -> sn.Batch:
    if len(batch.parts) != 1:
        raise ValueError(
            f"net 'seq2seq' writes one target per sample, these samples have {len(batch.parts)} "
            "parts: give sn.Sample one part, a chain"
        )
    return batch.parts[0]


def _check(sizes: sn.Sizes, condition: str, attention: str, heads: int) -> None:
    """ValueError for a task without targets to write, and for a decoder without a source."""
    if list(sizes.parts) != ["target"]:
        raise ValueError(
            "net 'seq2seq' writes a sequence for every sample, which this task does not ask for: "
            "take a task that does, such as task=translation or task=reverse, or another net"
        )
    if attention == "none" and condition == "none":
        raise ValueError(
            "net.condition=none with net.attention=none tells the decoder nothing of the source: "
            "leave one of them out"
        )
    if attention == "none" and heads != 1:
        raise ValueError(f"net.heads={heads} are heads of attention: take net.attention=additive")


def _check_feeding(attention: str, options: dict[str, Any]) -> None:
    """ValueError for options that do not go with input feeding."""
    if attention == "none":
        raise ValueError(
            "net.input_feeding=true feeds what attention gave: take net.attention=additive"
        )
    if given := [name for name in WHOLE if options.get(name)]:
        raise ValueError(
            f"net.{given[0]} draws once for a whole sequence, and net.input_feeding=true goes step "
            "by step: leave one of them out"
        )
