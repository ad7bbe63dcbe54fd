"""Language models: the next token of a text is predicted from those before it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader

import structnet as sn
from structnet.plugins.sequence.generation.writing import generate
from structnet.plugins.sequence.language.coding import warn_of_unknown
from structnet.plugins.sequence.language.sampling import Schedule, drawn_share, sampled, share_of
from structnet.plugins.sequence.language.streams import Sliding, Windows, stream_loader
from structnet.plugins.sequence.language.task import TextTask
from structnet.plugins.sequence.topology import refuse_ahead

# The most streams that a split is read in: the test split as one text without a break.
STREAMS = {"train": None, "validation": 10, "test": 1}


class LanguageModel(TextTask):
    """Predict the next token of a text.

    A text is read in parallel streams (`trainer.batch_size` of them, or as many windows as make
    `trainer.batch_nodes`), in windows that gradients stay within, while states are carried from
    each to the next. The validation split is read in at most ten streams, the test split in one, so
    that its figures do not depend on windows. "perplexity" is that per token, "bits_per_character"
    can be compared between kinds of tokens.

    Arguments:
        window: the steps that gradients go back; the mean, with jitter.
        windows: streams: consecutive windows with the states carried on; sliding: every token is a
            sample of its own, predicted from the `window` tokens before it.
        jitter: whether the lengths of windows vary in training (Merity et al. 2018, section 5).
        scheduled: scheduled sampling (Bengio et al. 2015): how the share of inputs grows that are
            drawn from the net's own predictions, or none.
        drawn: that share at the end of training.
    """

    generate = generate
    generates = "text"

    def __init__(
        self,
        *,
        window: int = 100,
        windows: Literal["streams", "sliding"] = "streams",
        jitter: bool = True,
        scheduled: Schedule = "none",
        drawn: float | None = None,
        **options: Any,
    ):
        super().__init__(**options)
        self.check_counts(window=window)
        if scheduled != "none" and windows == "sliding":
            raise ValueError(
                "scheduled sampling draws what follows in a window, and task.windows=sliding "
                "predicts one token each: take task.windows=streams"
            )
        self.window, self.windows, self.jitter = window, windows, jitter
        self.scheduled: Schedule = scheduled
        self.drawn = drawn_share(scheduled, drawn)

    def commands(self, topology: sn.Topology) -> Iterator[Sequence[str]]:
        yield from super().commands(topology)
        yield "complete", "prefix=TEXT"
        yield "score", "text=TEXT", "text=TEXT"

    def check(self, topology: sn.Topology) -> None:
        super().check(topology)
        refuse_ahead(self, topology)

    def scores_nodes(self, topology: sn.Topology) -> bool:
        return self.windows == "streams"

    def load(self, topology: sn.Topology) -> sn.Splits:
        texts, learned = self.texts(), {}
        if self.vocabulary is None:
            vocabulary, learned = self.learn(texts["train"])
            self.know(vocabulary, learned)
        tokens = {split: self.coder.split(text) for split, text in texts.items()}
        self._check_lengths(tokens)
        ids = {split: self.ids(some) for split, some in tokens.items()}
        if self.tokens == "characters":
            for split in ids:
                warn_of_unknown(tokens[split], ids[split], split)
        return sn.Splits(
            {split: self._samples(split, some) for split, some in ids.items()},
            vocabulary=self.vocabulary,
            source=ids,
            **learned,
        )

    def _samples(self, split: str, ids: NDArray[np.int64]) -> Sequence[sn.Sample]:
        if self.windows == "sliding":
            return Sliding(ids, self.window)
        return Windows(ids, self.window, STREAMS[split])

    def _check_lengths(self, tokens: Mapping[str, Sequence[str]]) -> None:
        for split, some in tokens.items():
            if len(some) < 2:
                raise ValueError(
                    f"the {split} split of {self.root or self.corpus} has {len(some)} "
                    f"{self.coder.unit}s, 2 at least are needed: give more text"
                )
        if self.window > (most := len(tokens["train"]) - 1):
            raise ValueError(
                f"a window of {self.window} steps is longer than the training split, in which "
                f"{most} {self.coder.unit}s follow another: set task.window to less, or give more "
                "text"
            )

    def loader(
        self, samples: Sequence[sn.Sample], topology: sn.Topology, **options: Any
    ) -> DataLoader[Any]:
        """Windows of parallel streams, or samples of their own as `sn.loader` batches them."""
        if not isinstance(samples, Windows):
            return super().loader(samples, topology, **options)
        given = options.get("batch_size") or options.get("batch_nodes", 2048) // samples.window
        return stream_loader(
            samples,
            topology,
            max(1, given),
            jitter=self.jitter and options.get("shuffle", False),
            seed=options.get("seed", 0),
            num_workers=options.get("num_workers", 0),
            lanes=options.get("lanes", 1),
        )

    def prepare(self, net: nn.Module, batch: sn.Batch, states: Any, done: float) -> sn.Batch:
        share = share_of(self.scheduled, self.drawn, done)
        return sampled(net, batch, share, states) if share else batch
