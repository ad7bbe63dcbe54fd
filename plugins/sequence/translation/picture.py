"""Attention as a picture: the words of a source, those that were written, and their weights."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import structnet as sn
from structnet.plugins.sequence.generation.starts import END

# The most words on an axis, and the most characters of one, that can be read.
MOST_WORDS, MOST_CHARACTERS = 100, 24
INCHES, FONT = 0.26, 8
Words = Sequence[tuple[str, int]]


@dataclass(frozen=True, eq=False)
class Alignment:
    """The weights of attention between words.

    Arguments:
        source: the words of the source.
        target: those that were written, END the last.
        weights: the weight of every word of the source for each that was written (target, source).
    """

    source: Sequence[str]
    target: Sequence[str]
    weights: NDArray[np.floating]

    def save(self, path: Path) -> None:
        """Write the picture to a PNG file; words beyond the first MOST_WORDS are left out."""
        # Imported here: matplotlib takes a second.
        from matplotlib.figure import Figure

        source, target = (some[:MOST_WORDS] for some in (self.source, self.target))
        longest = [max(map(len, map(_short, some))) * 0.07 + 0.6 for some in (target, source)]
        size = INCHES * len(source) + longest[0], INCHES * len(target) + longest[1]
        figure = Figure(figsize=(max(2.5, size[0]), max(2.0, size[1])), layout="constrained")
        axes = figure.subplots()
        shown = self.weights[: len(target), : len(source)]
        axes.imshow(shown, cmap="Greys", vmin=0, vmax=1, aspect="auto")
        # Before the words are turned: those above are other labels than those below.
        axes.xaxis.tick_top()
        for axis, some, turned in ((axes.xaxis, source, 90), (axes.yaxis, target, 0)):
            axis.set_ticks(range(len(some)), list(map(_short, some)))
            for label in axis.get_ticklabels():
                label.set(rotation=turned, fontsize=FONT, parse_math=False)
        axes.tick_params(length=0)
        figure.savefig(path, format="png", dpi=150)


def alignments(
    task: Any,
    net: nn.Module,
    topology: sn.Topology,
    samples: Sequence[sn.Sample],
    written: Sequence[Sequence[str]],
) -> list[Alignment]:
    """What a net attended to when it wrote about samples; ValueError for one without attention.

    Arguments:
        task: of the net, which tells the words that nodes and tokens stand for.
        net: the net.
        topology: plans the samples.
        samples: the sources.
        written: the tokens that were written about each.
    """
    pairs = zip(samples, written, strict=True)
    known = [replace(sample, parts=(task.target(tokens),)) for sample, tokens in pairs]
    batch = sn.collate(known, topology).to(next(net.parameters()).device)
    writer: Any = net
    with torch.no_grad():
        every = [one.double().cpu().numpy() for one in writer.weights(batch)]
    return [
        _by_words(task.source_words(sample), [*task.target_words(tokens), (END, 1)], weights)
        for sample, tokens, weights in zip(samples, written, every, strict=True)
    ]


def _by_words(source: Words, target: Words, weights: NDArray[np.floating]) -> Alignment:
    """The weights of words: the sum of those of their nodes, the mean over their tokens."""
    columns, rows = (np.array([count for _, count in some]) for some in (source, target))
    starts = (np.cumsum(some) - some for some in (columns, rows))
    first_column, first_row = starts
    summed = np.add.reduceat(weights, first_column, axis=1)
    means = np.add.reduceat(summed, first_row, axis=0) / rows[:, None]
    return Alignment([word for word, _ in source], [word for word, _ in target], means)


def _short(word: str) -> str:
    shown = sn.visible(word) or " "
    return shown if len(shown) <= MOST_CHARACTERS else f"{shown[: MOST_CHARACTERS - 1]}…"
