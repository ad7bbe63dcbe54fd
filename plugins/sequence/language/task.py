"""What all tasks share that predict the tokens of texts: the texts, their tokens, the measures."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import structnet as sn
from structnet.plugins.files.given import GivenSplits
from structnet.plugins.sequence.language.coding import UNKNOWN, Coder, Tokens, coder, count
from structnet.plugins.sequence.language.kneser_ney import KneserNey
from structnet.plugins.sequence.language.measures import figures, measured, measures
from structnet.plugins.sequence.language.treebanks import find_treebank, read_paths, read_treebank
from structnet.plugins.text import corpora
from structnet.plugins.text.subwords import Subwords

# The most characters of a corpus that is used in part, if no number is given.
LIMITS = {"python": 2_000_000}
# The most characters of the other splits, where there is a limit: a test takes a step for each.
HELD_OUT = 200_000
# How many sub-words are learned, if no number is given.
SUBWORDS = 1000


class TextTask(GivenSplits):
    """Predict tokens of a text.

    "perplexity" is that per token, "bits_per_character" can be compared between kinds of tokens.

    Arguments:
        tokens: what a text is split into.
        corpus: python, the source code of the standard library; tinyshakespeare, wikitext-2 or ewt,
            the sentences of a treebank, in the folder that STRUCTNET_DATA names; or one of NLTK's
            by its name, such as brown.
        root: a text file in UTF-8 or a folder of them, in place of a corpus; in files .conllu a
            line is a sentence, with spaces between its words. Files named train.txt, valid.txt and
            test.txt, or these with .gz, are the splits. Of three files and more a random tenth each
            are for validation and test; else the last tenth of the text is the test split, and the
            first twentieth validation.
        files: a pattern of file names in the folder, such as *.txt.
        limit: the most characters of the training split, and a tenth of that, 200,000 at most, of
            the others; by default all of a text, but 2,000,000 of the corpus python.
        min_count: tokens that are rarer in the training split are unknown.
        vocabulary_size: the most tokens that are known, the most frequent ones; of sub-words, how
            many are learned, 1000 by default.
        ngram: the tokens of the longest n-grams of the model to compare with.
    """

    structures = ("sequence",)
    monitor, mode = "perplexity", "min"
    takes_scores = True
    learned: ClassVar[tuple[str, ...]] = ("merges",)
    # Those of sub-words.
    merges: Sequence[Sequence[str]] = ()

    def __init__(
        self,
        *,
        tokens: Tokens,
        corpus: str,
        files: str = "*",
        limit: int | None = None,
        min_count: int = 1,
        vocabulary_size: int | None = None,
        ngram: int = 5,
        **options: Any,
    ):
        super().__init__(**options)
        self.check_counts(
            limit=limit, min_count=min_count, vocabulary_size=vocabulary_size, ngram=ngram
        )
        self.tokens: Tokens = tokens
        self.corpus, self.files, self.limit = corpus, files, limit
        self.min_count, self.vocabulary_size, self.ngram = min_count, vocabulary_size, ngram

    @staticmethod
    def check_counts(**counts: int | None) -> None:
        """ValueError for an option below 1."""
        for option, value in counts.items():
            if value is not None and value < 1:
                raise ValueError(f"option {option!r} is at least 1, got {value}")

    def find(self) -> Any:
        given = self.paths()
        if "train" in given:
            return {split: corpora.text_files(one, self.files) for split, one in given.items()}
        root = given.get("all")
        return find_treebank(self.corpus, root) or corpora.find(self.corpus, root, self.files)

    def texts(self) -> dict[str, str]:
        """The texts of the splits, cut to the limit."""
        given = self.paths()
        root = given.get("all")
        if "train" in given:
            read = {
                split: read_paths(some, str(given[split])) for split, some in self.find().items()
            }
            texts = corpora.split_texts(read, str(given["train"]), self.folds)
        elif treebank := find_treebank(self.corpus, root):
            texts = read_treebank(treebank, self.folds)
        else:
            texts = corpora.read(self.corpus, root, self.files, self.folds)
        most = self.limit
        if most is None and not given:
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
        return self.ids(self.coder.split(text))

    def decode(self, ids: Iterable[int]) -> str:
        """The text of tokens."""
        classes = self.classes
        return self.coder.join(classes[int(i)] for i in ids)

    def ids(self, tokens: Sequence[str]) -> NDArray[np.int64]:
        assert self.vocabulary is not None
        return np.fromiter(map(self.vocabulary.__getitem__, tokens), np.int64, len(tokens))

    def know(self, vocabulary: sn.Vocabulary | None, learned: Mapping[str, Any]) -> None:
        super().know(vocabulary, learned)
        for made in ("coder", "_characters"):
            vars(self).pop(made, None)

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

    def metrics(self) -> dict[str, Any]:
        return measures(self.coder.unit)

    def measured(self, output: Any, batch: sn.Batch) -> dict[str, tuple[Tensor, Tensor]]:
        return measured(output, batch.y, self.coder.unit, self._characters)

    @cached_property
    def _characters(self) -> Tensor:
        """The number of characters that each class stands for."""
        return torch.tensor([self.characters(token) for token in self.classes])

    def characters(self, token: str) -> int:
        """How many characters a token stands for in the text."""
        return self.coder.characters(token)

    def baselines(self) -> dict[str, dict[str, float]]:
        """Single tokens by their counts, and n-grams with modified Kneser-Ney smoothing."""
        train, test = (self.streams(split) for split in ("train", "test"))
        written = self._characters.numpy()
        tokens = sum(len(ids) - 1 for ids in test)
        characters = sum(int(written[ids[1:]].sum()) for ids in test)
        found = {}
        for order in sorted({1, self.ngram}):
            nats = 0.0
            for known, ids in zip(train, test, strict=True):
                model = KneserNey(known, order, self.num_outputs)
                nats -= float(model.log_probabilities(ids)[1:].sum())
            name = "unigram" if order == 1 else f"{order}-gram"
            found[name] = figures(self.coder.unit, nats, tokens, characters)
        return found

    def streams(self, split: str) -> list[NDArray[np.int64]]:
        """The tokens of a split as n-gram models read them: all but the first are predicted."""
        return [self.loaded.source[split]]
