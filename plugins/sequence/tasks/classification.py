"""Texts with classes."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np

import structnet as sn
from structnet.plugins.files.given import GivenSplits
from structnet.plugins.sequence.classify.corpora import Corpus, read_corpus
from structnet.plugins.sequence.classify.splitting import split_texts
from structnet.plugins.sequence.classify.texts import Columns, Text, find_texts, read_texts
from structnet.plugins.text.corpora import nltk_corpus
from structnet.plugins.text.subwords import BYTES, Merge, Subwords
from structnet.plugins.text.tokenise import Kind, Tokeniser, tokeniser


@sn.tasks.register("classification")
class Classification(GivenSplits):
    """The class of a text, read token by token.

    Texts come from a folder with a folder per class and a text per file; from a table .tsv or .csv,
    or .jsonl with an object per line; or from a corpus of NLTK. A folder may have the splits apart,
    as tables train.tsv, validation.tsv and test.tsv or as folders train, validation and test; of
    those that are missing, each takes a tenth of every class. Text files are in UTF-8.

    Arguments:
        root: the folder or the table.
        corpus: a corpus of NLTK in place of root, sentence_polarity or movie_reviews: in NLTK_DATA,
            or in nltk_data/ of the folder that STRUCTNET_DATA names.
        text_column: the column of the text: its name in a table's first line, or its number from 1
            where a table has no names; of .jsonl the name of the value.
        label_column: the column of the class, as with text_column.
        tokens: how a text is split: words (and every other sign by itself), spaces, characters,
            pattern; by NLTK's tokenisers treebank, wordpunct or tweet; or subwords, by byte-pair
            encoding learned from the training split.
        pattern: with tokens=pattern, a regular expression whose matches are the tokens.
        subwords: the number of sub-words, with tokens=subwords.
        lower: whether capitals are read as small letters.
        min_count: how often a token must occur in the training split to be known.
        max_length: how many tokens of a text are read; null for all.
        seed: which texts are drawn for a split that is not given.
    """

    structures = ("sequence",)
    learned = ("merges",)
    split: Tokeniser

    def __init__(
        self,
        *,
        corpus: Corpus | None = None,
        text_column: str = "text",
        label_column: str = "label",
        tokens: Kind | Literal["subwords"] = "words",
        pattern: str | None = None,
        subwords: int = 4000,
        lower: bool = True,
        min_count: int = 1,
        max_length: int | None = None,
        seed: int = 0,
        **options: Any,
    ):
        super().__init__(**options)
        least = {"min_count": (min_count, 1), "seed": (seed, 0), "max_length": (max_length, 1)}
        # All bytes are sub-words.
        least["subwords"] = (subwords, BYTES + 1)
        for option, (value, smallest) in least.items():
            if value is not None and value < smallest:
                raise ValueError(f"option {option!r} is at least {smallest}, got {value}")
        self.refuse_beside("corpus", corpus)
        self.corpus = corpus
        self.columns = Columns(text_column, label_column)
        self.tokens, self.subwords, self.merges = tokens, subwords, []
        self.split = tokeniser("spaces" if tokens == "subwords" else tokens, pattern)
        self.lower, self.min_count = lower, min_count
        self.max_length, self.seed = max_length, seed

    @property
    def merges(self) -> Sequence[Merge]:
        """The pairs of sub-words that are joined; none with other tokens."""
        return self._merges

    @merges.setter
    def merges(self, merges: Sequence[Merge]) -> None:
        self._merges = merges
        if merges:
            self.coder = Subwords(merges)
            self.split = self.coder.split

    def readout(self, topology: sn.Topology) -> str:
        return "attention"

    def find(self) -> Any:
        if self.corpus is not None:
            return nltk_corpus(self.corpus)
        if not (given := self.paths()):
            raise FileNotFoundError(
                "no texts are given: set task.root=FOLDER_OR_TABLE, or task.corpus="
                "sentence_polarity for a corpus of NLTK"
            )
        return find_texts(given["all"]) if "all" in given else given

    def load(self, topology: sn.Topology) -> sn.Splits:
        texts = split_texts(self._texts(), self.seed, self.folds)
        if self.tokens == "subwords" and not self.merges:
            whole = "\n".join(map(self._read, texts["train"]))
            self.merges = Subwords.learn(whole, self.subwords).merges
        classes = self.classes or _classes(texts["train"])
        words = {split: list(map(self._words, some)) for split, some in texts.items()}
        vocabulary = self.vocabulary
        if vocabulary is None:
            vocabulary = sn.Vocabulary.count(chain.from_iterable(words["train"]), self.min_count)
        splits = {
            split: [
                _sample(text, read, vocabulary, _index(text, classes))
                for text, read in zip(some, words[split], strict=True)
            ]
            for split, some in texts.items()
        }
        return sn.Splits(splits, vocabulary=vocabulary, classes=classes, merges=self.merges)

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        """The texts of a table, without their classes, or of the files of a folder."""
        for text in read_texts(path, self.columns, labelled=False):
            yield self.read_text(text, topology)

    def read_text(self, text: Any, topology: sn.Topology) -> sn.Sample:
        assert self.vocabulary is not None
        return _sample(text, self._words(text), self.vocabulary)

    def node_names(self, sample: sn.Sample) -> Sequence[str] | None:
        if sample.origin is None:
            return None
        words = self._words(sample.origin)
        return [self.coder.join([word]) for word in words] if self.merges else words

    def baselines(self) -> dict[str, dict[str, float]]:
        """The most frequent class, and logistic regression on words, alone and with bigrams."""
        from structnet.plugins.baselines.sentences import fit_sentences

        of_words = self.tokens not in ("characters", "subwords")
        words = self.split if of_words else tokeniser("words")

        def sentences(split: str) -> tuple[list[list[str]], list[int]]:
            samples = self.loaded[split]
            texts: Any = (sample.origin for sample in samples)
            return [words(one.text) for one in texts], [int(one.y) for one in samples]

        return fit_sentences(*map(sentences, ("train", "validation", "test")))

    def _texts(self) -> dict[str, Iterable[Text]]:
        """The texts of the splits that are given, or of `all`."""
        found = self.find()
        if self.corpus is not None:
            return {"all": read_corpus(self.corpus)}
        return {split: read_texts(path, self.columns) for split, path in found.items()}

    def _read(self, text: Any) -> str:
        return text.text.lower() if self.lower else text.text

    def _words(self, text: Any) -> list[str]:
        """The tokens of a text; ValueError if there are none."""
        words = self.split(self._read(text))[: self.max_length]
        if not words:
            raise ValueError(
                f"{text.path}, line {text.line}: {text.text[:40]!r} has no tokens: leave the text "
                "out, or take others by task.tokens"
            )
        return words


def _classes(texts: Iterable[Text]) -> list[str]:
    """The classes of texts, by number if all are numbers, else by name."""
    found = {str(text.label) for text in texts}
    return sorted(found, key=int if all(map(str.isdecimal, found)) else None)


def _index(text: Text, classes: Sequence[str]) -> int:
    if text.label not in classes:
        raise ValueError(f"{text.place}: {text.label!r} is none of the classes {list(classes)}")
    return classes.index(text.label)


def _sample(
    text: Any, words: Sequence[str], vocabulary: sn.Vocabulary, y: int = sn.IGNORE
) -> sn.Sample:
    x = vocabulary.tokens([(word,) for word in words])
    return sn.Sample(len(words), x, np.int64(y), origin=text)
