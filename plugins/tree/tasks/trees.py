"""The labels of the nodes of a user's own trees: constituents, dependencies, JSON, source code."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np

import structnet as sn
from structnet.plugins.files.given import GivenSplits
from structnet.plugins.text.accuracy import accuracy
from structnet.plugins.text.conllu import is_conllu
from structnet.plugins.text.corpora import nltk_corpus
from structnet.plugins.treebanks import changes
from structnet.plugins.treebanks.reading import find_splits, read_files, tree_files
from structnet.plugins.treebanks.splits import split_trees
from structnet.plugins.treebanks.tree import LabelledTree

# How many words of a node's name are shown before and after those that are left out.
SHOWN = 4


@sn.tasks.register("trees")
class Trees(GivenSplits):
    """The labels of the nodes of trees, from their words and structure.

    Files are in Penn Treebank brackets, several trees on a line or one over several lines; in
    CoNLL-U, whose nodes are words and whose labels dependency relations; or in JSON, which
    docs/trees-treebanks.md describes. Their names end in .mrg, .ptb, .prd, .parse, .penn, .tree,
    .trees or .txt for brackets, in .conllu, or in .json or .jsonl; all may be packed by gzip. A
    folder has a file for each split, which the file's name says, or any number of files whose trees
    are drawn for splits. With `language` they are source files, with a tree for each of their
    outermost definitions and statements.

    Arguments:
        root: a file or folder; null is NLTK's sample of the Penn Treebank, in NLTK_DATA or in
            nltk_data/ of the folder that STRUCTNET_DATA names.
        language: that of source files, as the grammar of tree-sitter is called that reads them,
            such as python, c or javascript; null for files of trees.
        score: the nodes whose labels are predicted: inner, those with children; all; or root. null
            is all for CoNLL-U, inner for others. Nodes without a label are not scored.
        functions: whether labels keep functional tags, NP-SBJ in place of NP, and relations their
            subtypes, nsubj:pass in place of nsubj.
        traces: whether words that are not written, labelled -NONE-, are kept.
        unary: whether a chain of inner nodes with one child each is kept, or collapsed into one
            node with a label such as S+VP.
        binarise: how nodes get two children at most: left and right by their side, head around the
            head child (Collins 1999). null is right on a topology of arity 2, else not at all.
        lower: whether words are known in small letters; characters keep their capitals.
        min_count: how often a word must occur in the training split to be known.
        seed: which trees are drawn, for a split that is not given.
    """

    structures = ("tree",)
    learned = ("dependencies",)
    # Whether trees are those of CoNLL-U.
    dependencies = False
    # The labels of a user's file that the net does not know.
    others: Sequence[str] = ()

    def __init__(
        self,
        *,
        language: str | None = None,
        score: Literal[None, "inner", "all", "root"] = None,
        functions: bool = False,
        traces: bool = False,
        unary: Literal["keep", "collapse"] = "keep",
        binarise: Literal[None, "left", "right", "head"] = None,
        lower: bool = False,
        min_count: int = 1,
        seed: int = 0,
        **options: Any,
    ):
        super().__init__(**options)
        for option, value, least in (("min_count", min_count, 1), ("seed", seed, 0)):
            if value < least:
                raise ValueError(f"option {option!r} is at least {least}, got {value}")
        if language is not None and self.root is None and self.split_paths["train"] is None:
            raise ValueError("task.language is for source files: set task.root to a file or folder")
        if language is not None and (functions or traces):
            option = "functions" if functions else "traces"
            raise ValueError(f"task.{option} is for treebanks, not for source code: leave it out")
        self.language, self.score = language, score
        self.functions, self.traces, self.unary = functions, traces, unary
        self.binarise: changes.Binary | None = binarise
        self.lower, self.min_count, self.seed = lower, min_count, seed

    @property
    def unseen(self) -> Sequence[str]:
        loaded: sn.Splits | None = vars(self).get("loaded")
        return (*(() if loaded is None else loaded.source), *self.others)

    def scores_nodes(self, topology: sn.Topology) -> bool:
        return self.score != "root"

    def find(self) -> dict[str, list[Path]] | None:
        """The files of the splits; None for NLTK's sample."""
        if not (given := self.paths()):
            nltk_corpus("treebank")
            return None
        return find_splits(given, self.language)

    def load(self, topology: sn.Topology) -> sn.Splits:
        found = self.find()
        dependencies = found is not None and is_conllu(next(chain(*found.values())))
        splits = split_trees(
            found,
            lambda trees: self._changed(trees, topology, dependencies),
            self.seed,
            self.language,
            self.folds,
        )
        classes = list(self.classes) or self._classes(splits["train"], dependencies)
        others = {label for some in splits.values() for label in self._labels(some, dependencies)}
        unseen = sorted(others.difference(classes))
        vocabulary = self.vocabulary
        if vocabulary is None:
            words = (self._key(word) for one in splits["train"] for word in one.words if word)
            vocabulary = sn.Vocabulary.count(words, self.min_count)
        numbers = {label: at for at, label in enumerate((*classes, *unseen))}
        samples = {
            split: [self._sample(one, vocabulary, dependencies, numbers) for one in some]
            for split, some in splits.items()
        }
        return sn.Splits(
            samples,
            vocabulary=vocabulary,
            source=unseen,
            classes=classes,
            dependencies=dependencies,
        )

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        """The trees of a file, or of all files of a folder, with their labels."""
        assert self.vocabulary is not None
        files = tree_files(path, self.language)
        for file in files:
            if is_conllu(file) != self.dependencies:
                raise ValueError(
                    f"{file}: the net was trained on "
                    f"{'dependency trees in CoNLL-U' if self.dependencies else 'constituents'}"
                )
        trees = list(self._changed(read_files(files, self.language), topology, self.dependencies))
        new = self._labels(trees, self.dependencies).difference(self.classes, self.unseen)
        self.others = [*self.others, *sorted(new)]
        numbers = {label: at for at, label in enumerate((*self.classes, *self.unseen))}
        for tree in trees:
            yield self._sample(tree, self.vocabulary, self.dependencies, numbers)

    def predicted_nodes(self, sample: sn.Sample) -> Sequence[int]:
        return self._scored(sample.origin, self.dependencies)

    def node_names(self, sample: sn.Sample) -> Sequence[str]:
        """A word, or the words below a node of constituents, those in the middle left out."""
        tree: Any = sample.origin
        if self.dependencies:
            return tree.words
        words = [word for word in tree.words if word]
        parts = (
            words[a:b]
            if b - a <= 2 * SHOWN
            else [*words[a : a + SHOWN], "...", *words[b - SHOWN : b]]
            for a, b in tree.spans.tolist()
        )
        return [" ".join(part) for part in parts]

    def metrics(self) -> dict[str, Any]:
        return {"accuracy": accuracy()}

    def baselines(self) -> dict[str, dict[str, float]]:
        from structnet.plugins.treebanks import baselines

        features = baselines.features_around if self.dependencies else baselines.features_below
        splits = []
        for split in ("train", "test"):
            rows, targets = [], []
            for sample in self.loaded[split]:
                nodes = self.predicted_nodes(sample)
                y = np.atleast_1d(sample.y)[nodes if self.score != "root" else [0] * len(nodes)]
                known = y != sn.IGNORE
                some = [node for node, one in zip(nodes, known, strict=True) if one]
                rows += features(sample.origin, some)  # pyright: ignore[reportArgumentType]
                targets += y[known].tolist()
            splits.append((rows, targets))
        return baselines.fit_nodes(*splits) if splits[1][1] else {}

    def _changed(
        self, trees: Iterable[LabelledTree], topology: sn.Topology, dependencies: bool
    ) -> Iterator[LabelledTree]:
        """The trees as they are learned."""
        binary = self.binarise or ("right" if topology.arity == 2 else None)
        if dependencies:
            self._check_dependencies(topology)
        bare = changes.bare_relation if dependencies else changes.bare_label
        for tree in trees:
            if not (dependencies or self.traces):
                tree = changes.without_traces(tree)
            if tree is None:
                continue
            if not self.functions:
                tree = tree.with_labels([bare(label) for label in tree.labels])
            if self.unary == "collapse":
                tree = changes.collapsed(tree)
            if binary and not dependencies:
                tree = changes.binarised(tree, binary)
            self._refuse_crowded(tree, topology.arity)
            yield tree

    def _refuse_crowded(self, tree: LabelledTree, arity: int | None) -> None:
        """ValueError for a node of more children than the net's trees have."""
        count = tree.counts()
        if arity is not None and count.max() > arity:
            node = int(np.argmax(count > arity))
            raise ValueError(
                f"{tree.place}: node {node}, {tree.labels[node]!r}, has {count[node]} children, "
                f"the net's trees have at most {arity}: set task.binarise=right, or train with "
                f"topology.arity={count.max()}, or null for any number"
            )

    def _check_dependencies(self, topology: sn.Topology) -> None:
        if topology.arity is not None:
            raise ValueError(
                "a word has any number of words that depend on it: set topology.arity=null, got "
                f"{topology.arity}"
            )
        for option, value in {"binarise": None, "unary": "keep", "traces": False}.items():
            if getattr(self, option) != value:
                raise ValueError(f"task.{option} is for constituents, not CoNLL-U: leave it out")

    def _scored(self, tree: Any, dependencies: bool) -> list[int]:
        """The nodes whose labels are predicted."""
        if self.score == "root":
            return [int(np.flatnonzero(tree.parent < 0)[0])]
        inner = tree.counts() > 0
        every = self.score == "all" or (dependencies and self.score is None)
        return [
            node
            for node, label in enumerate(tree.labels)
            if (every or inner[node]) and not label.startswith(changes.BETWEEN)
        ]

    def _labels(self, trees: Sequence[LabelledTree], dependencies: bool) -> set[str]:
        found = {tree.labels[node] for tree in trees for node in self._scored(tree, dependencies)}
        return found - {""}

    def _classes(self, trees: Sequence[LabelledTree], dependencies: bool) -> list[str]:
        classes = sorted(self._labels(trees, dependencies))
        if not classes:
            what = "node with children" if self.score == "inner" else "scored node"
            raise ValueError(f"{trees[0].path}: no {what} has a label; see task.score")
        return classes

    def _key(self, word: str) -> str:
        """What a word is known as."""
        return word.lower() if self.lower else word

    def _sample(
        self,
        tree: LabelledTree,
        vocabulary: sn.Vocabulary,
        dependencies: bool,
        numbers: Mapping[str, int],
    ) -> sn.Sample:
        """A sample; its labels are IGNORE where they have no number."""
        y = np.full(len(tree), sn.IGNORE)
        nodes = self._scored(tree, dependencies)
        y[nodes] = [numbers.get(tree.labels[node], sn.IGNORE) for node in nodes]
        words = [(self._key(word),) if word else () for word in tree.words]
        return sn.Sample(
            structure=sn.Edges.of_parents(tree.parent),
            x=vocabulary.tokens(words, [word for word in tree.words if word]),
            y=y[nodes[0]] if self.score == "root" else y,
            origin=tree,
        )
