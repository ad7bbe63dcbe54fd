"""Writing captions with a trained net, by beam search; with one beam greedily."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

import structnet as sn
from structnet.plugins.sequence.captions.net import Captioner
from structnet.plugins.sequence.generation.beams import search_between
from structnet.plugins.sequence.generation.starts import END, START
from structnet.plugins.sequence.generation.texts import UNKNOWN

# The most captions that are written at once.
MOST = 256


class Caption(NamedTuple):
    """A text that a net has written, and its probability."""

    text: str
    probability: float


def write(
    net: Any, words: Sequence[str], conditions: Tensor, *, length: int, beams: int = 1
) -> list[Caption]:
    """The most probable captions found for conditions (B, size).

    ValueError for a net that is not a captioner.

    Arguments:
        net: conditioned on images.
        words: the tokens' texts, by id; the first stands for unknown ones and is never written.
        conditions: what the captions are about.
        length: the number of characters at most.
        beams: the number of texts that are followed at once; 1 takes the most probable character
            at every step.
    """
    if not isinstance(net, Captioner):
        raise ValueError(f"{sn.nets.called(net)} writes no captions: train one with net=captioner")
    start, end = words.index(START), words.index(END)
    device = next(net.parameters()).device
    captions = []
    for some in conditions.split(MOST):
        stepper = net.stepper(len(some), some.to(device))
        found = search_between(
            stepper, start, end, beams=beams, length=length, penalty=0, banned=[UNKNOWN]
        )
        for best, *_ in found:
            text = "".join(words[token] for token in best.tokens if token != end)
            captions.append(Caption(text, float(torch.tensor(best.log_prob).exp())))
    return captions
