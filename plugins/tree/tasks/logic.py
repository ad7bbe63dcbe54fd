"""Inference in propositional logic."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import structnet as sn
from structnet.plugins.files.locate import locate
from structnet.plugins.tree.nets.siamese import SECOND
from structnet.plugins.tree.pairs.formula import (
    RELATIONS,
    Formula,
    FormulaPair,
    parse,
    read_pairs,
    tokens,
)
from structnet.plugins.tree.pairs.pair import SEPARATOR, pair_of, split_pair

# The files are numbered by the operators of the longer formula; the last one has longer ones too.
MOST = 12
# The most training pairs that the regression reads: more take minutes.
READ = 20_000
EXAMPLE = "( not a ) ||| ( a ( and b ) )"


@sn.tasks.register("logic")
class Logic(sn.Task):
    """The relation between two formulas of propositional logic, one of seven.

    Bowman, Manning and Potts (2015): train1.gz to train12.gz and test1.gz to test12.gz, by the
    number of operators of the longer formula. Formulas are trees, or sequences of their words and
    brackets. The table has the accuracy for each number of operators, beyond those of training too.

    A line is the relation (= < > ^ | v #) and two formulas such as `( not ( a ( and b ) ) )`, with
    tabs between them. Pairs of the training split are left out of the others.

    Arguments:
        root: the folder with the files; null is propositionallogic/ of the folder that
            STRUCTNET_DATA names.
        most_operators: the most operators of a pair to train on; a random tenth of the pairs is for
            validation.
        limit: the most pairs to train on, drawn at random; null for all.
        seed: which pairs are drawn.
    """

    structures = ("tree", "sequence")
    parts = (SECOND,)
    classes = tuple(RELATIONS.values())
    kinds = (*(f"{count} operators" for count in range(1, MOST)), f"{MOST} operators or more")

    def __init__(
        self,
        *,
        root: str | None = None,
        most_operators: int = 6,
        limit: int | None = None,
        seed: int = 0,
    ):
        """ValueError for an option out of range."""
        if not 1 <= most_operators <= MOST:
            raise ValueError(f"option 'most_operators' is from 1 to {MOST}, got {most_operators}")
        for name, value, least in (("limit", limit, 1), ("seed", seed, 0)):
            if value is not None and value < least:
                raise ValueError(f"option {name!r} is at least {least}, got {value}")
        self.root, self.most_operators, self.limit, self.seed = root, most_operators, limit, seed

    def find(self) -> dict[str, list[Path]]:
        names = {
            "train": [f"train{count}" for count in range(1, self.most_operators + 1)],
            "test": [f"test{count}" for count in range(1, MOST + 1)],
        }
        choices = [[f"{name}.gz", name] for some in names.values() for name in some]
        found = locate(self.root, "propositionallogic", choices)
        return {"train": found[: self.most_operators], "test": found[self.most_operators :]}

    def load(self, topology: sn.Topology) -> sn.Splits:
        read = {
            split: list({one.text: one for path in paths for one in read_pairs(path)}.values())
            for split, paths in self.find().items()
        }
        if len(read["train"]) < 10:
            raise ValueError(f"{len(read['train'])} pairs to train on, expected 10 or more")
        order = np.random.default_rng(self.seed).permutation(len(read["train"])).tolist()
        tenth = len(order) // 10
        train = [read["train"][at] for at in order[tenth:]][: self.limit]
        known = {one.text for one in train}
        splits = {
            "train": train,
            "validation": [read["train"][at] for at in order[:tenth]],
            "test": [one for one in read["test"] if one.text not in known],
        }
        vocabulary = self.vocabulary
        if vocabulary is None:
            sides = (side for one in train for side in (one.first, one.second))
            words = (word for side in sides for word in self._words(side, topology) if word)
            vocabulary = sn.Vocabulary.count(words, 1)
        samples = {
            split: [self._sample(one, topology, vocabulary) for one in some]
            for split, some in splits.items()
        }
        return sn.Splits(samples, vocabulary=vocabulary)

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        """The pairs of a file with a relation and two formulas per line."""
        assert self.vocabulary is not None
        for one in read_pairs(path):
            yield self._sample(one, topology, self.vocabulary)

    def read_text(self, text: Any, topology: sn.Topology) -> sn.Sample:
        """A user's pair: `( not a ) ||| ( a ( and b ) )`."""
        assert self.vocabulary is not None
        first, _ = split_pair(text, EXAMPLE)
        sides = parse(text, 0, len(first)), parse(text, len(first) + len(SEPARATOR))
        one = FormulaPair(text.path, text.line, text.text, None, *sides)
        return self._sample(one, topology, self.vocabulary)

    def commands(self, topology: sn.Topology) -> Iterator[tuple[str, ...]]:
        yield "predict", f"text={EXAMPLE}"
        yield "predict", "path=FILE"

    def _words(self, side: Formula, topology: sn.Topology) -> list[str]:
        return side.tree.words if topology.takes == "tree" else list(tokens(side))

    def _sample(
        self, one: FormulaPair, topology: sn.Topology, vocabulary: sn.Vocabulary
    ) -> sn.Sample:
        def side(formula: Formula) -> tuple[Any, sn.Tokens]:
            words = self._words(formula, topology)
            structure = formula.tree.children if topology.takes == "tree" else len(words)
            return structure, vocabulary.tokens([(word,) if word else () for word in words])

        (a, x), (b, z) = side(one.first), side(one.second)
        kind = min(max(one.operators, 1), MOST) - 1
        y = sn.IGNORE if one.relation is None else list(RELATIONS).index(one.relation)
        return pair_of((a, b), (x, z), np.int64(y), kind, one)

    def baselines(self) -> dict[str, dict[str, float]]:
        """The most frequent relation, and logistic regression on words and shared variables."""
        from structnet.plugins.baselines.features import predict_classes
        from structnet.plugins.tree.pairs.baselines import formula_features, vectors

        some = {"train": list(self.loaded["train"])[:READ], "test": list(self.loaded["test"])}
        pairs: Any = {split: [one.origin for one in of] for split, of in some.items()}
        y = {split: np.array([int(one.y) for one in of]) for split, of in some.items()}
        kind = np.array([one.kind for one in some["test"]])
        train, test = vectors(*map(formula_features, pairs.values()))
        return {
            name: {
                "accuracy": float(np.mean(said == y["test"])),
                **{
                    of: float(np.mean((said == y["test"])[kind == at]))
                    for at, of in enumerate(self.kinds)
                    if (kind == at).any()
                },
            }
            for name, said in predict_classes((train, y["train"]), test, "regression").items()
        }
