"""Language models: the next token of a text is predicted from those before it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader

import structnet as sn
from structnet.plugins.sequence.generation.writing import generate
from structnet.plugins.sequence.language.coding import (
    UNKNOWN,
    Coder,
    Tokens,
    coder,
    count,
    warn_of_unknown,
)
from structnet.plugins.sequence.language.kneser_ney import KneserNey
from structnet.plugins.sequence.language.measures import figures, measured, measures
from structnet.plugins.sequence.language.sampling import Schedule, sampled, share_of
from structnet.plugins.sequence.language.streams import Sliding, Windows, stream_loader
from structnet.plugins.sequence.topology import refuse_ahead
from structnet.plugins.text import corpora
from structnet.plugins.text.subwords import Subwords

# The most streams that a split is read in: the test split as one text without a break.
STREAMS = {"train": None, "validation": 10, "test": 1}
# The most characters of a corpus that is used in part, if no number is given.
LIMITS = {"python": 2_000_000}
# The most characters of the other splits, where there is a limit: a test takes a step for each.
HELD_OUT = 200_000
# How many sub-words are learned, if no number is given.
SUBWORDS = 1000


class LanguageModel(sn.Task):
    """Predict the next token of a text.

    A text is read in parallel streams (`trainer.batch_size` of them, or as many windows as make
    `trainer.batch_nodes`), in windows that gradients stay within, while states are carried from
    each to the next. The validation split is read in at most ten streams, the test split in one, so
    that its figures do not depend on windows. "perplexity" is that per token, "bits_per_character"
    can be compared between kinds of tokens.

    Arguments:
        tokens: what a text is split into.
        corpus: python, the source code of the standard library; tinyshakespeare and wikitext-2 in
            the folder that STRUCTNET_DATA names; or one of NLTK's by its name, such as brown.
        root: a text file in UTF-8 or a folder of them, in place of a corpus. Files named train.txt,
            valid.txt and test.txt, or these with .gz, are the splits. Of three files and more a
            random tenth each are for validation and test; else the last tenth of the text is the
            test split, and the first twentieth validation.
        files: a pattern of file names in the folder, such as *.txt.
        limit: the most characters of the training split, and a tenth of that, 200,000 at most, of
            the others; by default all of a text, but 2,000,000 of the corpus python.
        window: the steps that gradients go back; the mean, with jitter.
        windows: streams: consecutive windows with the states carried on; sliding: every token is a
            sample of its own, predicted from the `window` tokens before it.
        jitter: whether the lengths of windows vary in training (Merity et al. 2018, section 5).
        min_count: tokens that are rarer in the training split are unknown.
        vocabulary_size: the most tokens that are known, the most frequent ones; of sub-words, how
            many are learned, 1000 by default.
        scheduled: scheduled sampling (Bengio et al. 2015): how the share of inputs grows that are
            drawn from the net's own predictions, or none.
        drawn: that share at the end of training.
        ngram: the tokens of the longest n-grams of the model to compare with.
    """

    structures = ("sequence",)
    monitor, mode = "perplexity", "min"
    takes_scores = True
    generate = generate
    generates = "text"
    learned: ClassVar[tuple[str, ...]] = ("merges",)
    # Those of sub-words.
    merges: Sequence[Sequence[str]] = ()

    def __init__(
        self,
        *,
        tokens: Tokens,
        corpus: str,
        root: str | None = None,
        files: str = "*",
        limit: int | None = None,
        window: int = 100,
        windows: Literal["streams", "sliding"] = "streams",
        jitter: bool = True,
        min_count: int = 1,
        vocabulary_size: int | None = None,
        scheduled: Schedule = "none",
        drawn: float = 0.25,
        ngram: int = 5,
    ):
        counts = {"window": window, "min_count": min_count, "ngram": ngram, "limit": limit}
        for option, value in {**counts, "vocabulary_size": vocabulary_size}.items():
            if value is not None and value < 1:
                raise ValueError(f"option {option!r} is at least 1, got {value}")
        if not 0 <= drawn <= 1:
            raise ValueError(f"option 'drawn' is from 0 to 1, got {drawn}")
        if scheduled != "none" and windows == "sliding":
            raise ValueError(
                "scheduled sampling draws what follows in a window, and task.windows=sliding "
                "predicts one token each: take task.windows=streams"
            )
        self.corpus, self.root, self.files, self.limit = corpus, root, files, limit
        self.tokens: Tokens = tokens
        self.window, self.windows, self.jitter = window, windows, jitter
        self.min_count, self.vocabulary_size = min_count, vocabulary_size
        self.scheduled: Schedule = scheduled
        self.drawn, self.ngram = drawn, ngram

    def find(self) -> Any:
        return corpora.find(self.corpus, self.root, self.files)

    def texts(self) -> dict[str, str]:
        """The texts of the splits, cut to the limit."""
        texts = corpora.read(self.corpus, self.root, self.files)
        most = self.limit
        if most is None and self.root is None:
            most = LIMITS.get(self.corpus)
        if most is None:
            return texts
        tenth = min(max(1, most // 10), HELD_OUT)
        return {split: text[: most if split == "train" else tenth] for split, text in texts.items()}

    @property
    def num_outputs(self) -> int:
        return 0 if self.vocabulary is None else len(self.vocabulary)

    @property
    def classes(self) -> Sequence[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The tokens by their ids, that of unknown ones first."""
        return () if self.vocabulary is None else (UNKNOWN, *self.vocabulary.counts)

    @cached_property
    def coder(self) -> Coder:
        return coder(self.tokens, self.merges)

    def encode(self, text: str) -> NDArray[np.int64]:
        """The ids of a text's tokens; 0 for unknown ones."""
        return self._ids(self.coder.split(text))

    def decode(self, ids: Iterable[int]) -> str:
        """The text of tokens."""
        classes = self.classes
        return self.coder.join(classes[int(i)] for i in ids)

    def check(self, topology: sn.Topology) -> None:
        super().check(topology)
        refuse_ahead(self, topology)

    def scores_nodes(self, topology: sn.Topology) -> bool:
        return self.windows == "streams"

    def know(self, vocabulary: sn.Vocabulary | None, learned: Mapping[str, Any]) -> None:
        super().know(vocabulary, learned)
        for made in ("coder", "_characters"):
            vars(self).pop(made, None)

    def load(self, topology: sn.Topology) -> sn.Splits:
        texts, learned = self.texts(), {}
        if self.vocabulary is None:
            vocabulary, learned = self.learn(texts["train"])
            self.know(vocabulary, learned)
        tokens = {split: self.coder.split(text) for split, text in texts.items()}
        self._check_lengths(tokens)
        ids = {split: self._ids(some) for split, some in tokens.items()}
        if self.tokens == "characters":
            for split in ids:
                warn_of_unknown(tokens[split], ids[split], split)
        return sn.Splits(
            {split: self._samples(split, some) for split, some in ids.items()},
            vocabulary=self.vocabulary,
            source=ids,
            **learned,
        )

    def learn(self, text: str) -> tuple[sn.Vocabulary, dict[str, Any]]:
        """The vocabulary of the training text, and what else is learned from it by its name."""
        if self.tokens != "subwords":
            tokens = self.coder.split(text)
            known = count(tokens, self.min_count, self.vocabulary_size)
            if tokens and not known.counts:
                raise ValueError(
                    f"no {self.coder.unit} occurs {self.min_count} times in the training split: "
                    "set task.min_count to less"
                )
            return known, {}
        subwords = Subwords.learn(text, self.vocabulary_size or SUBWORDS)
        # Those that are not in the training text follow, as other texts may need them.
        counts = Counter(subwords.split(text))
        known = dict(counts.most_common()) | {p: 0 for p in subwords.pieces if p not in counts}
        return sn.Vocabulary(known), {"merges": subwords.merges}

    def _ids(self, tokens: Sequence[str]) -> NDArray[np.int64]:
        assert self.vocabulary is not None
        return np.fromiter(map(self.vocabulary.__getitem__, tokens), np.int64, len(tokens))

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
        )

    def prepare(self, net: nn.Module, batch: sn.Batch, states: Any, done: float) -> sn.Batch:
        share = share_of(self.scheduled, self.drawn, done)
        return sampled(net, batch, share, states) if share else batch

    def metrics(self) -> dict[str, Any]:
        return measures(self.coder.unit)

    def measured(self, output: Any, batch: sn.Batch) -> dict[str, tuple[Tensor, Tensor]]:
        return measured(output, batch.y, self.coder.unit, self._characters)

    @cached_property
    def _characters(self) -> Tensor:
        """The number of characters that each class stands for."""
        return torch.tensor([self.coder.characters(token) for token in self.classes])

    def baselines(self) -> dict[str, dict[str, float]]:
        """Single tokens by their counts, and n-grams with modified Kneser-Ney smoothing."""
        train, test = (self.loaded.source[split] for split in ("train", "test"))
        written = int(self._characters.numpy()[test[1:]].sum())
        found = {}
        for order in sorted({1, self.ngram}):
            model = KneserNey(train, order, self.num_outputs)
            nats = float(-model.log_probabilities(test)[1:].sum())
            name = "unigram" if order == 1 else f"{order}-gram"
            found[name] = figures(self.coder.unit, nats, len(test) - 1, written)
        return found
