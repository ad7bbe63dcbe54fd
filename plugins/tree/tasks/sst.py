"""The Stanford Sentiment Treebank."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

import structnet as sn
from structnet.plugins.files.given import GivenSplits
from structnet.plugins.text.tokenise import tokeniser
from structnet.plugins.tree.class_tree import Classes, ClassTree
from structnet.plugins.tree.phrases import check_parts, read_phrases, suggested
from structnet.plugins.treebanks.brackets import read_brackets
from structnet.plugins.treebanks.splits import draw_trees
from structnet.plugins.treebanks.tree import LabelledTree

FILES = {"train": "train.txt", "validation": "dev.txt", "test": "test.txt"}
FINE = ("very negative", "negative", "neutral", "positive", "very positive")
BINARY = ("negative", "positive")
NEUTRAL = 2
# From red to blue, with the signs of the treebank's own site.
COLOURS = ((0.70, 0.09, 0.17), (0.94, 0.54, 0.38), (0.75, 0.75, 0.75), (0.40, 0.66, 0.81),
           (0.13, 0.40, 0.67))  # fmt: skip
MINUS = "\u2212"
SHOWN_FINE = Classes(FINE, (2 * MINUS, MINUS, "0", "+", "++"), COLOURS)
SHOWN_BINARY = Classes(BINARY, (MINUS, "+"), (COLOURS[0], COLOURS[-1]))


@sn.tasks.register("sst")
class SST(GivenSplits):
    """Sentiment of sentences and of all their phrases, in five classes or two.

    Stanford Sentiment Treebank, Socher et al. (2013): train.txt, dev.txt and test.txt in Penn
    Treebank brackets. On trees every node is scored, except for neutral phrases where `binary` is
    set; "accuracy" counts sentences, "phrases" all nodes. On sequences the words are read in order
    and only the sentence is scored.

    Arguments:
        root: the folder with train.txt, dev.txt and test.txt, or a file that is split; null is
            sst/trees/ of the folder that STRUCTNET_DATA names.
        binary: leave out neutral sentences and phrases, so that two classes remain.
        min_count: how often a word must occur in the training split to be known.
        seed: which trees are drawn, for a split that is not given.
    """

    structures = ("tree", "sequence")

    def __init__(self, *, binary: bool = False, min_count: int = 1, seed: int = 0, **options: Any):
        super().__init__(**options)
        if min_count < 1:
            raise ValueError(f"option 'min_count' is at least 1, got {min_count}")
        if seed < 0:
            raise ValueError(f"option 'seed' is at least 0, got {seed}")
        self.binary, self.min_count, self.seed = binary, min_count, seed
        self.classes = BINARY if binary else FINE

    def scores_nodes(self, topology: sn.Topology) -> bool:
        return topology.takes == "tree"

    def predicts_nodes(self, topology: sn.Topology) -> bool:
        # Only sentences are reported, as "accuracy" counts them.
        return False

    def readout(self, topology: sn.Topology) -> str:
        return "every" if self.scores_nodes(topology) else "root"

    def find(self) -> dict[str, Path]:
        given = self.paths()
        if (root := given.get("all", Path())).is_file() or (given and "all" not in given):
            for path in given.values():
                sn.check_file(path)
            return given
        folder = sn.data_folder(str(root) if given else None, "sst/trees", [*FILES.values()])
        return {split: folder / file for split, file in FILES.items()}

    def load(self, topology: sn.Topology) -> sn.Splits:
        files = self.find()
        given = {split: list(read_brackets(path)) for split, path in files.items()}
        for split, some in given.items():
            if not some:
                raise ValueError(f"no trees in {files[split]}")
        trees = draw_trees(given, self.seed, self.folds)
        for split, some in trees.items():
            for tree in some:
                self._refuse_bad_labels(tree)
            if self.binary:
                trees[split] = [tree for tree in some if int(tree.labels[0]) != NEUTRAL]
            if not trees[split]:
                file = files.get(split, next(iter(files.values())))
                raise ValueError(f"no trees in {file} for {split}")
        vocabulary = self.vocabulary
        if vocabulary is None:
            words = (word for tree in trees["train"] for word in tree.leaves)
            vocabulary = sn.Vocabulary.count(words, self.min_count)
        splits = {
            split: [self._sample(tree, topology, vocabulary) for tree in some]
            for split, some in trees.items()
        }
        return sn.Splits(splits, vocabulary=vocabulary, source=trees)

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        assert self.vocabulary is not None
        for tree in read_brackets(path):
            if topology.takes == "tree":
                check_parts(tree, getattr(topology, "arity", None))
            yield self._sample(tree, topology, self.vocabulary, labelled=False)

    def read_text(self, text: sn.Origin, topology: sn.Topology) -> sn.Sample:
        """The sample of a tree in brackets or, on sequences, of words.

        Where every bracket begins with a number, as in the treebank, these are the labels.
        """
        assert self.vocabulary is not None
        tree = self._typed(text, topology.takes == "tree")
        labelled = bool(tree.labels[0])
        if labelled:
            self._refuse_bad_labels(tree)
        if topology.takes == "tree":
            check_parts(tree, getattr(topology, "arity", None))
        return self._sample(tree, topology, self.vocabulary, labelled)

    def commands(self, topology: sn.Topology) -> Iterator[tuple[str, ...]]:
        yield "predict", f"text={'( ( not good ) . )' if topology.takes == 'tree' else 'TEXT'}"
        yield "predict", "path=FILE"

    def drawing(self, sample: sn.Sample, scores: Tensor | None) -> sn.Drawing | None:
        if isinstance(sample.structure, int):
            return None
        origin: Any = sample.origin
        tree = origin if isinstance(origin, LabelledTree) else read_phrases(origin)
        probabilities = None if scores is None else scores.softmax(1).double().numpy()
        classes = SHOWN_BINARY if self.binary else SHOWN_FINE
        return ClassTree(tree, classes, probabilities, np.asarray(sample.y))

    def baselines(self) -> dict[str, dict[str, float]]:
        from structnet.plugins.baselines.sentences import fit_sentences

        return fit_sentences(*map(self._sentences, ("train", "validation", "test")))

    def loss(self, output: Tensor, batch: sn.Batch) -> Tensor:
        return self.cross_entropy(output, self._targets(output, batch))

    def num_targets(self, output: Tensor, batch: sn.Batch) -> Tensor:
        return (self._targets(output, batch) != sn.IGNORE).sum()

    def _targets(self, output: Tensor, batch: sn.Batch) -> Tensor:
        """Those of all nodes, or of roots where the net gives an output per sample."""
        return batch.y if len(output) == len(batch.y) else batch.y[batch.ptr[:-1]]

    def metrics(self) -> dict[str, Any]:
        from torchmetrics.classification import MulticlassAccuracy

        return {
            name: MulticlassAccuracy(self.num_outputs, average="micro", ignore_index=sn.IGNORE)
            for name in ("accuracy", "phrases")
        }

    def measured(self, output: Tensor, batch: sn.Batch) -> dict[str, tuple[Tensor, Tensor]]:
        roots = batch.y[batch.ptr[:-1]] if len(batch.y) > batch.num_samples else batch.y
        scores = {"accuracy": (self.sample_output(output, batch), roots)}
        if len(output) > batch.num_samples:
            scores["phrases"] = (output, batch.y)
        return scores

    def sample_output(self, output: Tensor, batch: sn.Batch) -> Tensor:
        return output if len(output) == batch.num_samples else output[batch.ptr[:-1]]

    def _typed(self, text: sn.Origin, on_tree: bool) -> LabelledTree:
        """The tree that a text is; without brackets, if it need not be one, that of its words."""
        if text.text.strip().startswith("("):
            return read_phrases(text)
        words = tokeniser("treebank")(text.text)
        if on_tree:
            raise ValueError(
                f"{text.path}, line {text.line}: {text.text[:40]!r} has no brackets, and the net "
                f'reads trees: write text="{suggested(words)}", with brackets around words that '
                "belong together"
            )
        if not words:
            raise ValueError(f"{text.path}, line {text.line}: {text.text[:40]!r} has no words")
        parent = [-1] + [0] * len(words)
        return LabelledTree.of(text, [""] * len(parent), ["", *words], parent)

    def _refuse_bad_labels(self, tree: LabelledTree) -> None:
        for node, label in enumerate(tree.labels):
            if label not in ("0", "1", "2", "3", "4"):
                raise ValueError(
                    f"{tree.path}, line {tree.line}: label {label!r} of node {node} "
                    f"({tree.words[node] or 'a phrase'!r}) is not one of 0 to 4"
                )

    def _target(self, label: str) -> int:
        if not self.binary:
            return int(label)
        return sn.IGNORE if int(label) == NEUTRAL else int(int(label) > NEUTRAL)

    def _sample(
        self,
        tree: LabelledTree,
        topology: sn.Topology,
        vocabulary: sn.Vocabulary,
        labelled: bool = True,
    ) -> sn.Sample:
        on_tree = topology.takes == "tree"
        words = [(word,) if word else () for word in tree.words if word or on_tree]
        labels = tree.labels if on_tree else tree.labels[:1]
        targets = [self._target(label) if labelled else sn.IGNORE for label in labels]
        return sn.Sample(
            structure=sn.Edges.of_parents(tree.parent).table() if on_tree else len(words),
            x=vocabulary.tokens(words),
            y=np.array(targets, np.int64),
            origin=tree,
        )

    def _sentences(self, split: str) -> tuple[list[list[str]], list[int]]:
        trees = self.loaded.source[split]
        return (
            [tree.leaves for tree in trees],
            [self._target(tree.labels[0]) for tree in trees],
        )
