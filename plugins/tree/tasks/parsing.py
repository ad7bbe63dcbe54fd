"""The constituents of sentences, from treebanks."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import structnet as sn
from structnet.plugins.files.given import GivenSplits
from structnet.plugins.text.conllu import is_conllu
from structnet.plugins.text.corpora import nltk_corpus
from structnet.plugins.text.figures import figure_metric
from structnet.plugins.tree.parsing import evalb
from structnet.plugins.tree.parsing.constituents import (
    Label,
    Phrases,
    found_phrases,
    given_phrases,
    given_tree,
    labels_of,
    mistakes,
)
from structnet.plugins.tree.parsing.drawing import ParseTree
from structnet.plugins.tree.parsing.gold import unknown_tree
from structnet.plugins.tree.parsing.parses import Answer, Objective, Parses
from structnet.plugins.tree.parsing.texts import is_tree, sentences, spelled_words, words_of
from structnet.plugins.treebanks import changes
from structnet.plugins.treebanks.brackets import bracketed
from structnet.plugins.treebanks.reading import find_splits, read_trees, tree_files
from structnet.plugins.treebanks.splits import split_trees
from structnet.plugins.treebanks.tree import LabelledTree

FIGURES = ("precision", "recall", "f1")


@sn.tasks.register("parsing")
class Parsing(GivenSplits):
    """The tree of a sentence: its constituents, their labels, and the parts of speech.

    Files are those of task `trees` with constituents: Penn Treebank brackets, or JSON. Traces and
    functional tags are left out.

    Precision, recall and F1 are those of evalb with COLLINS.prm, over all sentences together: of
    the nodes above words, each with its label, the words below it, and as often as it occurs.
    Punctuation (, : `` '' .) is taken out, with what has no other word, and so is TOP; ADVP and PRT
    are the same. "unlabelled" ones do not look at labels, "exact" is the share of sentences without
    a mistake, "tags" that of right parts of speech.

    Arguments:
        root: a file or folder, as of task `trees`; null is NLTK's sample of the Penn Treebank.
        lower: whether words are known in small letters; characters keep their capitals.
        min_count: how often a word must occur in the training split to be known.
        weight: what the cross entropy of labels counts in the loss, beside a sample's violation,
            which is a sum over the nodes of its tree.
        seed: which trees are drawn, for a split that is not given.
    """

    structures = ("sequence",)
    parts = ("tree",)
    monitor = "f1"
    takes_scores = True
    learned = ("phrases",)
    # How many of the classes are those of phrases; the others are those of words.
    phrases = 1

    def __init__(
        self,
        *,
        lower: bool = False,
        min_count: int = 1,
        weight: float = 10.0,
        seed: int = 0,
        **options: Any,
    ):
        super().__init__(**options)
        for option, value, least in (("min_count", min_count, 1), ("seed", seed, 0)):
            if value < least:
                raise ValueError(f"option {option!r} is at least {least}, got {value}")
        if not 0 <= weight < np.inf:
            raise ValueError(f"option 'weight' is at least 0 and finite, got {weight}")
        self.lower, self.min_count, self.seed = lower, min_count, seed
        self.weight = weight

    @property
    def unseen(self) -> Sequence[str]:
        loaded: sn.Splits | None = vars(self).get("loaded")
        return () if loaded is None else [label for _, label in loaded.source]

    def know(self, vocabulary: sn.Vocabulary | None, learned: Mapping[str, Any]) -> None:
        phrases, classes = learned.get("phrases"), learned.get("classes", ())
        if phrases is not None and not (type(phrases) is int and 1 < phrases < len(classes)):
            raise ValueError(
                f"learned, 'phrases' is how many of the {len(classes)} classes are those of "
                f"phrases, got {phrases!r}"
            )
        super().know(vocabulary, learned)

    def scores_nodes(self, topology: sn.Topology) -> bool:
        return True

    def find(self) -> dict[str, list[Path]] | None:
        """The files of the splits; None for NLTK's sample."""
        if not (given := self.paths()):
            nltk_corpus("treebank")
            return None
        found = find_splits(given)
        for file in chain(*found.values()):
            _refuse_dependencies(file)
        return found

    def load(self, topology: sn.Topology) -> sn.Splits:
        splits = split_trees(self.find(), self._changed, self.seed, folds=self.folds)
        seen = {
            split: {one for tree in some for one in labels_of(tree)}
            for split, some in splits.items()
        }
        known = self._labels() or sorted(seen["train"])
        if all(is_word for is_word, _ in known):
            raise ValueError(f"{splits['train'][0].path}: no tree to train on has two words")
        unseen = sorted(set().union(*seen.values()).difference(known))
        numbers = {label: at for at, label in enumerate((*known, *unseen), start=1)}
        vocabulary = self.vocabulary
        if vocabulary is None:
            words = (self._key(word) for tree in splits["train"] for word in tree.leaves)
            vocabulary = sn.Vocabulary.count(words, self.min_count)
        samples = {
            split: [
                self._sample(tree.leaves, vocabulary, given_tree(tree, numbers), tree)
                for tree in some
            ]
            for split, some in splits.items()
        }
        return sn.Splits(
            samples,
            vocabulary=vocabulary,
            source=unseen,
            classes=["", *(label for _, label in known)],
            phrases=1 + sum(not is_word for is_word, _ in known),
        )

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        """The sentences of treebanks, their trees beside, or of a text with one per line.

        A text is a file whose name ends in .txt, or in what none of a treebank's does, and that
        does not begin with a bracket.
        """
        assert self.vocabulary is not None
        if (lines := sentences(path)) is not None:
            if not lines:
                raise ValueError(f"{path} has no sentences")
            for line in lines:
                yield self.read_text(line, topology)
            return
        for file in tree_files(path):
            _refuse_dependencies(file)
            for tree in filter(None, map(changes.without_traces, read_trees(file))):
                yield self._sample(tree.leaves, self.vocabulary, self._beside(tree), tree)

    def read_text(self, text: Any, topology: sn.Topology) -> sn.Sample:
        assert self.vocabulary is not None
        if is_tree(text):
            raise ValueError(
                f"{text.path}, line {text.line}: {text.text[:40]!r} is a tree in brackets, and the "
                "net finds the tree itself: write the words alone"
            )
        words = words_of(text.text)
        if not words:
            raise ValueError(
                f"{text.path}, line {text.line}: {text.text[:40]!r} has no words: leave it out"
            )
        return self._sample(words, self.vocabulary, unknown_tree(len(words)), text)

    def commands(self, topology: sn.Topology) -> Iterator[Sequence[str]]:
        yield from super().commands(topology)
        yield "draw", "sample=0", "out=tree.svg"

    def loss(self, output: Objective, batch: sn.Batch) -> Tensor:
        is_word = output.y >= self.phrases
        labels = self.cross_entropy(self._masked(output.scores, is_word), output.y)
        return output.violations.mean() + self.weight * labels

    def num_targets(self, output: Objective, batch: sn.Batch) -> Tensor:
        """The number of trees: of the two means of the loss, the first is over them."""
        return torch.tensor(len(output.violations), device=output.violations.device)

    def answer(self, net: nn.Module, batch: sn.Batch) -> list[Answer]:
        """The tree of every sentence in brackets, and the probability of its labels together."""
        words, bounds = spelled_words(batch.x), pairwise(batch.ptr.tolist())
        found = []
        for said, true, (a, b) in zip(
            self.found(net(batch)), self.given(batch), bounds, strict=True
        ):
            tree, probabilities = said.tree(words[a:b])
            drawing = ParseTree(tree, probabilities, *mistakes(tree, true))
            found.append(Answer(bracketed(tree), float(np.prod(said.probabilities)), drawing))
        return found

    def drawing(self, sample: sn.Sample, scores: Tensor | None) -> ParseTree | None:
        """The tree that a sample was given."""
        if scores is not None or not isinstance(sample.origin, LabelledTree):
            return None
        tree = changes.expanded(sample.origin)
        return ParseTree(tree, None, np.zeros(len(tree), bool), None)

    def node_names(self, sample: sn.Sample) -> list[str]:
        return spelled_words(sample.x)

    def baselines(self) -> dict[str, dict[str, float]]:
        from structnet.plugins.tree.parsing.baselines import branching

        train, test = (
            [Phrases.of(tree) for tree in self._origins(split)] for split in ("train", "test")
        )
        return branching(train, test)

    def metrics(self) -> dict[str, Any]:
        from torchmetrics import MeanMetric

        found = {name: figure_metric(name) for name in FIGURES}
        found |= {f"unlabelled {name}": figure_metric(name) for name in FIGURES}
        return {**found, "exact": MeanMetric(), "tags": MeanMetric()}

    def measured(self, output: Parses, batch: sn.Batch) -> dict[str, tuple[Tensor, Tensor]]:
        counts, exact, tags = [], [], []
        for said, true in zip(self.found(output), self.given(batch), strict=True):
            brackets = [evalb.counted(one.brackets(), true.tags) for one in (said, true)]
            counts.append(evalb.compared(*brackets))
            exact.append(float(brackets[0] == brackets[1]))
            tags += [float(a == b) for a, b in zip(said.tags, true.tags, strict=True)]
        found = {}
        for kind, some in zip(("", "unlabelled "), torch.tensor(counts).unbind(1), strict=True):
            found |= {f"{kind}{name}": (some[:, :2], some[:, 2]) for name in FIGURES}
        for name, values in (("exact", exact), ("tags", tags)):
            found[name] = torch.tensor(values), torch.ones(len(values))
        return found

    def found(self, output: Parses) -> list[Phrases]:
        """The phrases of what a net found for each sample."""
        is_word = torch.from_numpy(output.children[:, 0] < 0)
        return found_phrases(output, self._masked(output.scores.cpu(), is_word), self.classes)

    def given(self, batch: sn.Batch) -> list[Phrases]:
        """The phrases of the trees that a batch was given."""
        return given_phrases(batch, [*self.classes, *self.unseen])

    def _origins(self, split: str) -> list[LabelledTree]:
        samples: Any = self.loaded[split]
        return [sample.origin for sample in samples]

    def _masked(self, scores: Tensor, is_word: Tensor) -> Tensor:
        """Scores of classes, -inf for those of words at phrases, and the other way round."""
        of_words = torch.arange(scores.shape[1], device=scores.device) >= self.phrases
        return scores.masked_fill(is_word[:, None] != of_words, -torch.inf)

    def _labels(self) -> list[Label]:
        """The labels that are known, by the classes without the first one."""
        return [(at >= self.phrases, label) for at, label in enumerate(self.classes)][1:]

    def _beside(self, tree: LabelledTree) -> sn.Sample:
        """The tree of a user's file, as far as its labels are known; not one without labels."""
        if (False, "") in labels_of(tree):
            return unknown_tree(len(tree.leaves))
        (changed,) = self._changed([tree])
        numbers = {label: at for at, label in enumerate(self._labels(), start=1)}
        return given_tree(changed, defaultdict(lambda: sn.IGNORE, numbers))

    def _changed(self, trees: Iterable[LabelledTree]) -> Iterator[LabelledTree]:
        """The trees as they are learned."""
        for tree in map(changes.without_traces, trees):
            if tree is not None:
                if (False, "") in labels_of(tree):
                    raise ValueError(
                        f"{tree.place}: a node above words has no label, which a parser learns"
                    )
                labels = [changes.bare_label(label) for label in tree.labels]
                yield changes.collapsed(tree.with_labels(labels), with_words=True)

    def _key(self, word: str) -> str:
        """What a word is known as."""
        return word.lower() if self.lower else word

    def _sample(
        self, words: Sequence[str], vocabulary: sn.Vocabulary, tree: sn.Sample, origin: Any
    ) -> sn.Sample:
        x = vocabulary.tokens([(self._key(word),) for word in words], words)
        return sn.Sample(len(words), x, np.array(sn.IGNORE), origin=origin, parts=(tree,))


def _refuse_dependencies(file: Path) -> None:
    if is_conllu(file):
        raise ValueError(
            f"{file} has dependency trees, a parser finds constituents: take task=trees"
        )
