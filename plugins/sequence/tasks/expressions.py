"""Expressions: from the syntax tree of a Python expression to its text."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

import structnet as sn
from structnet.plugins.code.sources import (
    Place,
    python_files,
    split_files,
    standard_library,
)
from structnet.plugins.code.trees import as_tree, check_arity
from structnet.plugins.files.given import GivenSplits
from structnet.plugins.files.skipping import read_all
from structnet.plugins.sequence.translation.syntax import (
    Code,
    Tree,
    find_expressions,
    parse_expression,
    parsed_text,
    tree_of,
)
from structnet.plugins.sequence.translation.task import MARKS, MOST_TOKENS, Transduction
from structnet.plugins.text.subwords import BYTES, Subwords

# Ranges of the number of a target's sub-words, up to `most_tokens`.
WIDTH = 10


@sn.tasks.register("expressions")
class Expressions(GivenSplits, Transduction):
    """Write a Python expression as its author did, given its syntax tree.

    The expressions are those of Python files that are not part of another one and stand on one
    line. A tree has a node for each of Python's own, with the sub-words of names and constants as
    leaves below it. Trees are binary, by left child and right sibling, or have any number of
    children; a graph has the same edges; a sequence is the tree in pre-order, with a mark where a
    node's children end, so that it tells the same. Spaces, quotes and parentheses that make no
    difference to Python are not in the tree: they are to be learned.

    Every text is there once, and none of the validation or test split is a training text. The table
    has the share of texts without a mistake by their number of sub-words.

    Arguments:
        root: a Python file, or a folder that is searched for them; null is the standard library. A
            random tenth of the files each is for validation and test.
        subwords: the number of sub-words, learned from the training texts.
        most_tokens: expressions of more sub-words are left out.
        limit: the most expressions of the training split, and a tenth of it of the others, drawn at
            random; null for all.
        min_count: how often a node's word must occur in the training split to be known.
    """

    structures = ("tree", "sequence", "graph")
    learned = ("longest", "merges")

    def __init__(
        self,
        *,
        subwords: int = 1000,
        most_tokens: int = 40,
        limit: int | None = 20_000,
        min_count: int = 2,
        **options: Any,
    ):
        """ValueError for an option out of range."""
        super().__init__(**options)
        if subwords <= BYTES:
            raise ValueError(f"option 'subwords' must be more than {BYTES}, got {subwords}")
        if not 1 <= most_tokens <= MOST_TOKENS:
            raise ValueError(f"option 'most_tokens' is from 1 to {MOST_TOKENS}, got {most_tokens}")
        for name, value in (("limit", limit), ("min_count", min_count)):
            if value is not None and value < 1:
                raise ValueError(f"option {name!r} is at least 1, got {value}")
        self.subwords, self.most_tokens = subwords, most_tokens
        self.limit, self.min_count = limit, min_count
        self.merges: Sequence[Any] = []
        self.coder: Subwords | None = None
        self.split: Callable[[str], list[str]] | None = None
        starts = range(1, most_tokens + 1, WIDTH)
        self.kinds = [f"{low}-{min(low + WIDTH - 1, most_tokens)}" for low in starts]

    def check(self, topology: sn.Topology) -> None:
        super().check(topology)
        check_arity(topology, "expressions")

    def find(self) -> dict[str, list[Path]]:
        return split_files(self.paths(), self.folds)

    def know(self, vocabulary: sn.Vocabulary | None, learned: Mapping[str, Any]) -> None:
        super().know(vocabulary, learned)
        if "merges" not in learned:
            return
        self.coder = Subwords(learned["merges"])
        # The same names are in many expressions.
        self.split = lru_cache(1 << 16)(self.coder.split)
        if odd := set(self.classes[len(MARKS) :]) - set(self.coder.pieces):
            raise ValueError(
                f"the sub-word {min(odd)!r} of the net's classes is none of those that its merges "
                "make: the files of the run do not belong together"
            )

    def load(self, topology: sn.Topology) -> sn.Splits:
        files = self.find()
        found = {split: _once(read_all(some, find_expressions)) for split, some in files.items()}
        if not found["train"]:
            raise ValueError(
                "no expressions for the train split below "
                f"{self.place_of('train', standard_library())}; give a folder with more Python "
                "files"
            )
        if self.coder is None:
            merges = Subwords.learn("\n".join(found["train"]), self.subwords).merges
            self.know(None, {"merges": merges})
        kept = {split: self._short(some) for split, some in found.items()}
        for split in ("validation", "test"):
            kept[split] = [one for one in kept[split] if one.text not in found["train"]]
        kept = {split: self._drawn(split, some) for split, some in kept.items()}
        trees = {split: [self._tree(one.node) for one in some] for split, some in kept.items()}
        vocabulary, classes = self.vocabulary, list(self.classes)
        if vocabulary is None:
            vocabulary, classes = self._learn(trees["train"])
        self.know(vocabulary, {"classes": classes})
        splits = {
            split: [
                self._sample(tree, topology, self._split(one.text), one)
                for one, tree in zip(some, trees[split], strict=True)
            ]
            for split, some in kept.items()
        }
        longest = max(len(one.parts[0].y) for one in splits["train"]) - 1
        self.longest = self.longest or longest
        return sn.Splits(
            splits,
            vocabulary=vocabulary,
            source=kept,
            classes=classes,
            longest=self.longest,
            merges=self.merges,
        )

    def _short(self, found: Mapping[str, Code]) -> list[Code]:
        """The expressions of at most `most_tokens` sub-words."""
        return [one for one in found.values() if len(self._split(one.text)) <= self.most_tokens]

    def _drawn(self, split: str, some: list[Code]) -> list[Code]:
        """As many as `limit` says, in the order of their files; ValueError for none."""
        if not some:
            raise ValueError(
                f"no expressions for the {split} split below "
                f"{self.place_of(split, standard_library())} that are not in the training split: "
                "give a folder with more Python files"
            )
        limit = self.limit
        if limit is None:
            return some
        most = limit if split == "train" else max(1, limit // 10)
        drawn = np.random.default_rng(0).permutation(len(some))[:most]
        return [some[at] for at in sorted(drawn.tolist())]

    def _learn(self, trees: Sequence[Tree]) -> tuple[sn.Vocabulary, list[str]]:
        assert self.coder is not None
        words = Counter(word for tree in trees for word in tree.sequence)
        known = {word: count for word, count in words.most_common() if count >= self.min_count}
        return sn.Vocabulary(known), [*MARKS, *self.coder.pieces]

    def _split(self, text: str) -> list[str]:
        assert self.split is not None
        return self.split(text)

    def _tree(self, node: Any) -> Tree:
        return tree_of(node, self._split)

    def _sample(
        self, tree: Tree, topology: sn.Topology, target: Sequence[str] | None, origin: Any
    ) -> sn.Sample:
        assert self.vocabulary is not None
        words = tree.sequence if topology.takes == "sequence" else tree.words
        x = self.vocabulary.tokens([[word] for word in words])
        kind = min(max(0, len(target or ()) - 1) // WIDTH, len(self.kinds) - 1)
        structure: Any = len(words)
        if topology.takes == "tree":
            structure = as_tree(tree.parent, topology)
        elif topology.takes == "graph":
            structure = sn.Edges.of_parents(tree.parent)
        parts = (self.target(target),)
        return sn.Sample(structure, x, sn.IGNORE, kind, origin, parts=parts)

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        """All expressions of a Python file or below a folder, tests included."""
        for one in read_all(python_files(path, tests=True), find_expressions):
            yield self._sample(self._tree(one.node), topology, None, one)

    def read_text(self, text: Any, topology: sn.Topology) -> sn.Sample:
        """A user's expression, of which the tree is read."""
        try:
            node = parse_expression(text.text)
        except ValueError as error:
            raise ValueError(f"{text.path}, line {text.line}: {error}") from error
        code = Code(text.path, Place(text.line, 0, text.line, None), text.text, node)
        return self._sample(self._tree(node), topology, None, code)

    def join(self, tokens: Sequence[str]) -> str:
        assert self.coder is not None
        return self.coder.join(tokens)

    def target_words(self, tokens: Sequence[str]) -> list[tuple[str, int]]:
        return [(self.join([token]), 1) for token in tokens]

    def baselines(self) -> dict[str, dict[str, float]]:
        """What Python's own `ast.unparse` writes."""
        test = self.loaded.source["test"]
        right = np.array([parsed_text(one.node) == one.text for one in test])
        kind = np.array([one.kind for one in self.loaded["test"]])
        of_kind = {
            name: float(right[kind == i].mean())
            for i, name in enumerate(self.kinds)
            if (kind == i).any()
        }
        return {"ast.unparse": {"exact": float(right.mean()), **of_kind}}


def _once(found: Iterator[Code]) -> dict[str, Code]:
    """The first expression with each text."""
    texts: dict[str, Code] = {}
    for one in found:
        texts.setdefault(one.text, one)
    return texts
