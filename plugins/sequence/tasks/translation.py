"""Translation: sentences of one language written in another, learned from pairs of them."""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from torch import nn

import structnet as sn
from structnet.plugins.files.given import GivenSplits
from structnet.plugins.sequence.translation.parallel import Files, Pair, find_files, read_splits
from structnet.plugins.sequence.translation.task import MARKS, MOST_TOKENS, Transduction
from structnet.plugins.text.subwords import BYTES, Subwords

# What a sub-word begins with at the beginning of a word.
BEGINS = "\u0120"


@sn.tasks.register("translation")
class Translation(GivenSplits, Transduction):
    """Translate sentences, given pairs of them in two files line by line.

    By default German sentences of Multi30k (Elliott et al. 2016) into English. Sub-words are
    learned from the training split of each language. "bleu" and "chrf" are sacrebleu's, of whole
    texts as they are: of the most probable sub-word at every step during training, and in tests of
    a beam search with `beam` beams.

    Arguments:
        root: the folder of the files train, valid (or val, dev) and test, each with the language as
            its ending, as in train.de, or with .gz after it; null for Multi30k.
        source: the language that is translated from; or a file of your own, of whose lines a random
            tenth each is for validation and test.
        target: the language that is translated to, or the file with the translation of every line.
        train: the path of the training split's two files without the ending, as data/train for
            data/train.de and data/train.en; splits that are not given are drawn from it.
        subwords: the number of sub-words of each language.
        most_tokens: training pairs with more sub-words on one of the sides are left out.
        limit: the most pairs of the training split; null for all.
    """

    monitor = "bleu"
    learned = ("longest", "source_merges", "target_merges")

    def __init__(
        self,
        *,
        source: str = "de",
        target: str = "en",
        subwords: int = 4000,
        most_tokens: int = 100,
        limit: int | None = None,
        beam: int = 5,
        **options: Any,
    ):
        """ValueError for an option out of range."""
        super().__init__(beam=beam, **options)
        if subwords <= BYTES:
            raise ValueError(f"option 'subwords' must be more than {BYTES}, got {subwords}")
        if not 1 <= most_tokens <= MOST_TOKENS:
            raise ValueError(f"option 'most_tokens' is from 1 to {MOST_TOKENS}, got {most_tokens}")
        if limit is not None and limit < 1:
            raise ValueError(f"option 'limit' is at least 1, got {limit}")
        self.source, self.into = source, target
        self.subwords, self.most_tokens, self.limit = subwords, most_tokens, limit
        self.source_merges: Sequence[Any] = []
        self.target_merges: Sequence[Any] = []
        self.coders: tuple[Subwords, Subwords] | None = None

    def find(self) -> Files:
        # Imported here: the library is asked for before training, not after it.
        from structnet.plugins.sequence.translation.scores import signatures

        self.note = signatures()
        return find_files(self.paths(), self.source, self.into)

    def check_path(self, path: Path, option: str) -> None:
        """What is given of a split is the beginning of two files' names."""
        if option == "root":
            super().check_path(path, option)

    def know(self, vocabulary: sn.Vocabulary | None, learned: Mapping[str, Any]) -> None:
        super().know(vocabulary, learned)
        merges = learned.get("source_merges"), learned.get("target_merges")
        if None in merges:
            return
        first, second = (Subwords(some) for some in merges if some is not None)
        self.coders = first, second
        words = [] if vocabulary is None else list(vocabulary.counts)
        for known, coder in ((words, first), (self.classes[len(MARKS) :], second)):
            odd = set(known) - set(coder.pieces)
            if odd:
                raise ValueError(
                    f"the sub-word {min(odd)!r} of the net's vocabulary is none of those that its "
                    "merges make: the files of the run do not belong together"
                )

    def load(self, topology: sn.Topology) -> sn.Splits:
        pairs = read_splits(self.find(), self.folds)
        pairs["train"] = pairs["train"][: self.limit]
        if self.coders is None:
            self._learn(pairs["train"])
        kept = {split: self._encode(some) for split, some in pairs.items()}
        kept["train"] = self._without_long(kept["train"], pairs["train"])
        longest = max((len(target) for _, target, _ in kept["train"]), default=0)
        self.longest = self.longest or longest
        return sn.Splits(
            {split: [self._sample(*one) for one in some] for split, some in kept.items()},
            vocabulary=self.vocabulary,
            source=pairs,
            classes=list(self.classes),
            longest=self.longest,
            source_merges=self.source_merges,
            target_merges=self.target_merges,
        )

    def _learn(self, pairs: Sequence[Pair]) -> None:
        """The sub-words of both languages."""
        texts = [[pair.source for pair in pairs], [pair.target for pair in pairs]]
        first, second = (
            Subwords.learn("\n".join(map(_spaced, some)), self.subwords) for some in texts
        )
        counts = Counter(piece for text in texts[0] for piece in first.split(_spaced(text)))
        # Those that are not in the training text follow, as other texts may need them.
        known = dict(counts.most_common()) | {p: 0 for p in first.pieces if p not in counts}
        learned = {"source_merges": first.merges, "target_merges": second.merges}
        classes = [*MARKS, *second.pieces]
        self.know(sn.Vocabulary(known), {"classes": classes, **learned})

    def _encode(
        self, pairs: Sequence[Pair]
    ) -> list[tuple[list[str], list[str] | None, sn.Origin | None]]:
        assert self.coders is not None
        first, second = self.coders
        return [
            (first.split(_spaced(pair.source)), second.split(_spaced(pair.target)), pair.origin)
            for pair in pairs
        ]

    def _without_long(self, encoded: list[Any], pairs: Sequence[Pair]) -> list[Any]:
        long = [
            at for at, (*both, _) in enumerate(encoded) if max(map(len, both)) > self.most_tokens
        ]
        if not long:
            return encoded
        where = f"{pairs[long[0]].origin.path}, line {pairs[long[0]].origin.line}"
        said = (
            f"{len(long):,} of {len(pairs):,} training pairs have more than "
            f"{self.most_tokens} sub-words ({where} is the first), which task.most_tokens sets"
        )
        if len(long) == len(pairs):
            raise ValueError(f"{said}: no pair is left")
        warnings.warn(f"left out: {said}", sn.DataWarning, stacklevel=2)
        out = set(long)
        return [one for at, one in enumerate(encoded) if at not in out]

    def _sample(
        self, source: Sequence[str], target: Sequence[str] | None, origin: Any
    ) -> sn.Sample:
        assert self.vocabulary is not None
        x = self.vocabulary.tokens([[piece] for piece in source])
        parts = (self.target(target),)
        return sn.Sample(len(source), x, sn.IGNORE, origin=origin, parts=parts)

    def read_text(self, text: Any, topology: sn.Topology) -> sn.Sample:
        """A user's sentence."""
        assert self.coders is not None
        if not text.text.strip():
            raise ValueError(f"{text.path}, line {text.line}: an empty text, give a sentence")
        try:
            pieces = self.coders[0].split(_spaced(text.text))
        except ValueError as error:
            raise ValueError(f"{text.path}, line {text.line}: {error}") from error
        return self._sample(pieces, None, text)

    def join(self, tokens: Sequence[str]) -> str:
        assert self.coders is not None
        return " ".join(self.coders[1].join(tokens).split())

    def source_words(self, sample: sn.Sample) -> list[tuple[str, int]]:
        assert self.coders is not None and self.vocabulary is not None
        return _words([piece for (piece,) in self.vocabulary.words(sample.x)], self.coders[0])

    def target_words(self, tokens: Sequence[str]) -> list[tuple[str, int]]:
        assert self.coders is not None
        return _words(tokens, self.coders[1])

    def metrics(self) -> dict[str, Any]:
        from structnet.plugins.sequence.translation.scores import metrics

        return {**metrics(), **super().metrics()}

    def free_running(
        self, net: nn.Module, batch: sn.Batch, quick: bool
    ) -> dict[str, tuple[list[str], list[str]]]:
        """What the net writes beside the true translations."""
        said = [self.text(best) for best, *_ in self.write(net, batch, 1 if quick else None)]
        (target,) = batch.parts
        classes: Any = self.classes
        true = [
            self.join([classes[token] for token in part[:-1]])
            for part in (one.tolist() for one in target.y.split(target.ptr.diff().tolist()))
        ]
        return {"bleu": (said, true), "chrf": (said, true)}

    def baselines(self) -> dict[str, dict[str, float]]:
        """The source itself, a dictionary, and the nearest training sentence."""
        from structnet.plugins.sequence.translation.baselines import fit_translations

        pairs = self.loaded.source
        return fit_translations(pairs["train"], pairs["test"])


def _words(pieces: Sequence[str], coder: Subwords) -> list[tuple[str, int]]:
    """The words that sub-words make, each with the number of its sub-words."""
    starts = [at for at, one in enumerate(pieces) if at == 0 or one.startswith(BEGINS)]
    bounds = pairwise([*starts, len(pieces)])
    return [(coder.join(pieces[a:b]).strip(), b - a) for a, b in bounds]


def _spaced(text: str) -> str:
    """A text as sub-words are learned from it: a word at its beginning is like any other."""
    return f" {' '.join(text.split())}"
