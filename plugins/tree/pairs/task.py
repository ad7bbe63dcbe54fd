"""Tasks of pairs of sentences, read from a folder for every split."""

import abc
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

import structnet as sn
from structnet.plugins.text.tokenise import tokeniser
from structnet.plugins.tree.nets.siamese import SECOND
from structnet.plugins.tree.pairs.pair import SEPARATOR, pair_of, split_pair
from structnet.plugins.tree.pairs.sentences import (
    Sentence,
    SentencePair,
    Trees,
    file_names,
    folders,
    in_order,
    read_pairs,
)

EXAMPLE = "A man plays. ||| A person plays."
# Read beside a word that both sentences have.
SHARED = "<shared>"


class SentencePairs(sn.Task):
    """Pairs of sentences, from folders train, dev and test.

    On trees these are the parses in the files: binary constituency trees, or dependency trees with
    a node per word and any number of children (topology.arity=null). On sequences the words are
    read in order. Capitals are read as small letters.

    Arguments:
        root: the folder of all files; null is sick/ of the folder that STRUCTNET_DATA names.
        trees: which trees are read on topologies of trees.
        shared: whether a word that the other sentence has as well is marked; without it each
            sentence is read alone, as by Tai et al. (2015).
        min_count: how often a word must occur in the training split to be known.
    """

    structures = ("tree", "sequence")
    parts = (SECOND,)
    # The target of a pair without one.
    unknown: Any = np.int64(sn.IGNORE)

    def __init__(
        self,
        *,
        root: str | None = None,
        trees: Trees = "constituency",
        shared: bool = True,
        min_count: int = 1,
    ):
        """ValueError for an option out of range."""
        if min_count < 1:
            raise ValueError(f"option 'min_count' is at least 1, got {min_count}")
        self.root, self.shared, self.min_count = root, shared, min_count
        self.trees: Trees = trees
        self.words = tokeniser("words")

    def check(self, topology: sn.Topology) -> None:
        super().check(topology)
        if topology.takes != "tree":
            return
        if self.trees == "dependency" and topology.arity is not None:
            raise ValueError(
                "a word has any number of dependents: set topology.arity=null, or take "
                f"task.trees=constituency; the topology's arity is {topology.arity}"
            )
        if self.trees == "constituency" and topology.arity not in (2, None):
            raise ValueError(
                f"constituency trees are binary, the topology's arity is {topology.arity}: set "
                "topology.arity=2, or null for children in any order"
            )

    def find(self) -> dict[str, Path]:
        return folders(self.root, None)

    @abc.abstractmethod
    def targets(self, split: str, pairs: list[SentencePair]) -> list[Any]:
        """The target of every pair of a split."""

    def load(self, topology: sn.Topology) -> sn.Splits:
        trees = self._trees(topology)
        found = folders(self.root, trees)
        pairs = {split: read_pairs(folder, trees) for split, folder in found.items()}
        for split, some in pairs.items():
            if not some:
                raise ValueError(f"{found[split] / 'a.toks'} has no sentences")
        vocabulary = self.vocabulary
        if vocabulary is None:
            bags = (bag for one in pairs["train"] for side in self._bags(one) for bag in side)
            vocabulary = sn.Vocabulary.count(chain.from_iterable(bags), self.min_count)
        splits = {
            split: [
                self._sample(one, topology, vocabulary, y)
                for one, y in zip(some, self.targets(split, some), strict=True)
            ]
            for split, some in pairs.items()
        }
        return sn.Splits(splits, vocabulary=vocabulary)

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        """The pairs of a folder with a.toks and b.toks, and the files of its trees."""
        assert self.vocabulary is not None
        trees = self._trees(topology)
        missing = [
            name for name in file_names(trees, labelled=False) if not (path / name).is_file()
        ]
        if missing:
            raise FileNotFoundError(f"no {', '.join(missing)} in {path}: path= is a folder of them")
        for one in read_pairs(path, trees, labelled=False):
            yield self._sample(one, topology, self.vocabulary, self.unknown)

    def read_text(self, text: Any, topology: sn.Topology) -> sn.Sample:
        """A user's two sentences, of a net on sequences; a full stop at the end is not read."""
        assert self.vocabulary is not None
        if (trees := self._trees(topology)) is not None:
            names = ", ".join(file_names(trees, labelled=False))
            raise ValueError(
                f"{text.path}, line {text.line}: the net reads {trees} trees, which a text does "
                f"not have: write path=FOLDER for a folder with {names}, or train on sequences, "
                "topology=bichain"
            )
        return self._sample(self._typed(text), topology, self.vocabulary, self.unknown)

    def commands(self, topology: sn.Topology) -> Iterator[tuple[str, ...]]:
        if topology.takes == "sequence":
            yield "predict", f"text={EXAMPLE}"
        yield "predict", "path=FOLDER"

    def node_names(self, sample: sn.Sample) -> Any:
        names, origin = super().node_names(sample), sample.origin
        if names is None or origin is None:
            return names
        # As they are written, also where the net does not know them.
        pair = origin if isinstance(origin, SentencePair) else self._typed(origin)
        return [*pair.first.words, *names[len(pair.first.words) :]]

    def _typed(self, text: Any) -> SentencePair:
        """The pair that a text is; ValueError names its path and line for one that is none."""
        sides = split_pair(text, EXAMPLE)
        first, second = (
            Sentence(tuple(self.words(re.sub(r"[.!?\s]+$", "", side)))) for side in sides
        )
        for side, sentence in zip(sides, (first, second), strict=True):
            if not sentence.words:
                raise ValueError(
                    f"{text.path}, line {text.line}: {side!r} has no words, expected two sentences "
                    f"with {SEPARATOR} between them"
                )
        return SentencePair(text.path, text.line, text.text, first, second)

    def _trees(self, topology: sn.Topology) -> Trees | None:
        return self.trees if topology.takes == "tree" else None

    def _sample(
        self, one: SentencePair, topology: sn.Topology, vocabulary: sn.Vocabulary, y: Any
    ) -> sn.Sample:
        trees = self._trees(topology)

        def structure(side: Sentence) -> Any:
            if side.parent is None:
                return len(side.words)
            if trees == "constituency":
                return in_order(side.parent, len(side.words))
            return sn.Edges.of_parents(side.parent).table()

        def tokens(side: Sentence, bags: list[tuple[str, ...]]) -> sn.Tokens:
            nodes = len(side.words) if side.parent is None else len(side.parent)
            # The mark is spelled as nothing.
            pairs = zip(side.words, bags, strict=True)
            spelling = [text for word, bag in pairs for text in (word, "")[: len(bag)]]
            return vocabulary.tokens([*bags, *[()] * (nodes - len(bags))], spelling)

        sides = one.first, one.second
        (a, b), (x, z) = map(structure, sides), map(tokens, sides, self._bags(one))
        return pair_of((a, b), (x, z), y, origin=one, other=one.exchanged)

    def _bags(self, one: SentencePair) -> list[list[tuple[str, ...]]]:
        """What is read at every word of both sentences."""
        sides = [[word.lower() for word in side.words] for side in (one.first, one.second)]
        common = set(sides[0]).intersection(sides[1]) if self.shared else ()
        return [
            [(word, SHARED) if word in common else (word,) for word in words] for words in sides
        ]

    def _table(self, split: str) -> tuple[Any, Any]:
        """The features and the targets that the baselines read."""
        from structnet.plugins.tree.pairs.baselines import sentence_features

        some: Any = self.loaded[split]
        return sentence_features(one.origin for one in some), np.array([one.y for one in some])
