"""ListOps: the value of an expression of nested operators on digits."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import structnet as sn
from structnet.plugins.files.locate import locate
from structnet.plugins.tree.listops.expression import (
    DIGITS,
    END,
    OPERATORS,
    Expression,
    parse,
    read_expressions,
)

# The deepest expressions of a column of the table; the last column has all that are deeper.
DEPTHS = (7, 13)
DEEPER = (*(f"depth to {depth}" for depth in DEPTHS), f"deeper than {DEPTHS[-1]}")


@sn.tasks.register("listops")
class ListOps(sn.Task):
    """The value of an expression such as `[MAX 2 9 [MIN 4 7 ] 0 ]`, a digit.

    Nangia and Bowman (2018). On trees it is the binary tree of round brackets, `( ( [MAX 2 ) ] )`;
    on sequences the tokens without them. Every expression counts once, and what is in the training
    split is in no other one. The table has the accuracy in each of the files of the test, and by
    depth of nesting.

    A name of a file is a path, or that of a file in `root`, whose name may stand without `test_`
    before it and `.tsv` or `.tsv.gz` after it. A line is the value, a tab and the expression.

    Arguments:
        root: the folder with the files; null is listops/ of the folder that STRUCTNET_DATA names.
        train: the file to train on; a random tenth of it is for validation.
        test: the files to test on, with commas between their names; of the file that is trained on,
            a further tenth is for the test.
        limit: the most expressions to train on, drawn at random; null for all.
        seed: which expressions are drawn.
    """

    structures = ("tree", "sequence")
    classes = DIGITS

    def __init__(
        self,
        *,
        root: str | None = None,
        train: str = "d8",
        test: str = "d14,d20",
        limit: int | None = None,
        seed: int = 0,
    ):
        """ValueError for an option out of range."""
        if limit is not None and limit < 1:
            raise ValueError(f"option 'limit' is at least 1, got {limit}")
        if seed < 0:
            raise ValueError(f"option 'seed' is at least 0, got {seed}")
        names = [name.strip() for name in test.split(",")]
        if not all(names) or len({*names}) < len(names):
            raise ValueError(f"option 'test' is names of files with commas between, got {test!r}")
        self.root, self.train, self.test = root, train, names
        self.limit, self.seed = limit, seed
        # Every file with every depth; those that are trained on come last.
        self.files = [*names, *[train] * (train not in names)]
        self.kinds = [f"{file}, {depth}" for file in self.files for depth in DEEPER]

    def find(self) -> list[Path]:
        """The files, in the order of `files`."""
        given = [Path(name).expanduser() for name in self.files]
        names = [
            [f"{before}{name}{after}" for after in (".tsv.gz", ".tsv", "") for before in PREFIXES]
            for name, path in zip(self.files, given, strict=True)
            if not path.is_file()
        ]
        found = iter(locate(self.root, "listops", names) if names else [])
        return [path if path.is_file() else next(found) for path in given]

    def load(self, topology: sn.Topology) -> sn.Splits:
        read = {
            name: list({one.text: one for one in read_expressions(path)}.values())
            for name, path in zip(self.files, self.find(), strict=True)
        }
        splits = self._split(read)
        words = (*OPERATORS, END, *DIGITS)
        vocabulary = self.vocabulary
        if vocabulary is None:
            leaves = (word for _, one in splits["train"] for word in one.text.split(" "))
            vocabulary = sn.Vocabulary.count(leaves, 1).extended(words)
        samples = {
            split: [_sample(one, topology, vocabulary, self._kind(name, one)) for name, one in some]
            for split, some in splits.items()
        }
        return sn.Splits(samples, vocabulary=vocabulary)

    def _split(self, read: dict[str, list[Expression]]) -> dict[str, list[tuple[str, Expression]]]:
        """The expressions of every split, each with the name of its file."""
        drawn = read.pop(self.train)
        order = np.random.default_rng(self.seed).permutation(len(drawn)).tolist()
        tenth = len(drawn) // 10
        if not tenth:
            raise ValueError(f"{self.train} has {len(drawn)} expressions, expected 10 or more")
        if self.train in self.test:
            read[self.train] = [drawn[at] for at in order[-tenth:]]
            order = order[:-tenth]
        train = [drawn[at] for at in order[tenth:]][: self.limit]
        known = {one.text for one in train}
        test = [(name, one) for name in self.test for one in read[name] if one.text not in known]
        if not test:
            raise ValueError(f"all expressions of {', '.join(self.test)} are in the training split")
        return {
            "train": [(self.train, one) for one in train],
            "validation": [(self.train, drawn[at]) for at in order[:tenth]],
            "test": test,
        }

    def _kind(self, name: str, one: Expression) -> int:
        return self.files.index(name) * len(DEEPER) + int(np.searchsorted(DEPTHS, one.depth))

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        """The expressions of a file with a value and an expression per line."""
        assert self.vocabulary is not None
        for one in read_expressions(path):
            yield _sample(one, topology, self.vocabulary)

    def read_text(self, text: Any, topology: sn.Topology) -> sn.Sample:
        """A user's expression, with round brackets or without."""
        assert self.vocabulary is not None
        return _sample(parse(text), topology, self.vocabulary)

    def commands(self, topology: sn.Topology) -> Iterator[tuple[str, ...]]:
        yield "predict", "text=[MAX 2 9 [MIN 4 7 ] 0 ]"
        yield "predict", "path=FILE"

    def metrics(self) -> dict[str, Any]:
        from torchmetrics.classification import MulticlassAccuracy

        return {
            name: MulticlassAccuracy(len(DIGITS), average="micro", ignore_index=sn.IGNORE)
            for name in ("accuracy", *self.files, *DEEPER)
        }

    def measured(self, output: Tensor, batch: sn.Batch) -> dict[str, tuple[Tensor, Tensor]]:
        output = self.sample_output(output, batch)
        every = {"accuracy": torch.ones_like(batch.kind, dtype=torch.bool)}
        every |= dict(self._groups(batch.kind))
        return {name: (output[mine], batch.y[mine]) for name, mine in every.items()}

    def _groups(self, kind: Any) -> Iterator[tuple[str, Any]]:
        """Which samples are of each file, and of each depth."""
        for at, name in enumerate(self.files):
            yield name, kind // len(DEEPER) == at
        for at, name in enumerate(DEEPER):
            yield name, kind % len(DEEPER) == at

    def baselines(self) -> dict[str, dict[str, float]]:
        """The most frequent value, and logistic regression on features of the expression."""
        from structnet.plugins.baselines.features import predict_classes
        from structnet.plugins.tree.listops.baselines import features

        def table(split: str) -> tuple[Any, Any]:
            samples: Sequence[Any] = self.loaded[split]
            return features([one.origin.text for one in samples]), np.array(
                [int(one.y) for one in samples]
            )

        x, y = table("test")
        kind = np.array([one.kind for one in self.loaded["test"]])
        groups = {name: mine for name, mine in self._groups(kind) if mine.any()}
        return {
            name: {
                "accuracy": float(np.mean(said == y)),
                **{one: float(np.mean((said == y)[mine])) for one, mine in groups.items()},
            }
            for name, said in predict_classes(table("train"), x, "regression").items()
        }


# What may stand before a file's name.
PREFIXES = ("test_", "")


def _sample(
    one: Expression, topology: sn.Topology, vocabulary: sn.Vocabulary, kind: int = 0
) -> sn.Sample:
    if topology.takes == "tree":
        words = [(word,) if word else () for word in one.tree.words]
        structure: Any = one.tree.children
    else:
        words = [(word,) for word in one.text.split(" ")]
        structure = len(words)
    return sn.Sample(structure, vocabulary.tokens(words), np.int64(one.value), kind, origin=one)
