"""Tasks that ask which of two versions of a piece of Python code was written."""

import abc
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

import structnet as sn
from structnet.plugins.code.sources import python_files, split_files, standard_library
from structnet.plugins.files.given import GivenSplits


class CodeChoice(GivenSplits):
    """Two versions of a piece of code, as it is shown and changed: which one was written?

    The net gives each version one score, and the two scores are the logits of the two classes, so
    that exchanging the versions exchanges the probabilities exactly. The code comes from the Python
    files below `root`, tests left out. One file in ten makes the validation split and one in ten
    the test split; there half of the pieces are shown changed. In training all are shown as
    written, as the loss is the same either way.

    "calibration_error" is the expected difference between probabilities and the share that is right
    (Naeini et al. 2015), in 15 bins, where half of the pieces are changed. Real code seldom is: by
    Bayes' rule, predictions are the probabilities that a piece was changed if `prior` of all were.

    Arguments:
        root: a Python file, or a folder that is searched for them; null is the standard library.
        min_count: how often a word must occur in the training split to be known.
        prior: the share of pieces in a user's code that are thought to be changed.
        tests: whether predictions are made for the tests below a user's folder as well.
    """

    group = 2
    # What a piece of code is called in messages.
    pieces: str

    def __init__(
        self,
        *,
        min_count: int = 2,
        prior: float = 1e-4,
        tests: bool = False,
        **options: Any,
    ):
        """ValueError for an option out of range."""
        super().__init__(**options)
        if min_count < 1:
            raise ValueError(f"option 'min_count' is at least 1, got {min_count}")
        if not 0 < prior < 1:
            raise ValueError(f"option 'prior' is between 0 and 1, got {prior}")
        self.prior, self.tests = prior, tests
        self.min_count = min_count

    @abc.abstractmethod
    def extract(self, splits: dict[str, list[Path]]) -> dict[str, list[Any]]:
        """The pieces of code in the files of each split."""

    @abc.abstractmethod
    def extract_all(self, files: Sequence[Path]) -> Iterable[Any]:
        """All pieces of code in a user's files."""

    @abc.abstractmethod
    def words(self, pieces: Sequence[Any]) -> Iterable[str]:
        """The words of pieces of code, as written."""

    @abc.abstractmethod
    def pair(
        self, piece: Any, changed: bool, topology: sn.Topology, vocabulary: sn.Vocabulary
    ) -> Iterator[sn.Sample]:
        """The two versions, the one that is shown first: the changed one if `changed`."""

    @property
    def num_outputs(self) -> int:
        return 1

    def find(self) -> dict[str, list[Path]]:
        return split_files(self.paths(), self.folds)

    def load(self, topology: sn.Topology) -> sn.Splits:
        files = self.find()
        found = self.extract(files)
        for name, some in found.items():
            if not some:
                raise ValueError(
                    f"no {self.pieces} for the {name} split below "
                    f"{self.place_of(name, standard_library())} "
                    f"({len(files[name])} files); give a folder with more Python files"
                )
        vocabulary = self.vocabulary
        if vocabulary is None:
            vocabulary = sn.Vocabulary.count(self.words(found["train"]), self.min_count)
        splits = {
            name: [
                sample
                for piece, changed in zip(some, self.shown_changed(name, len(some)), strict=True)
                for sample in self.pair(piece, changed, topology, vocabulary)
            ]
            for name, some in found.items()
        }
        return sn.Splits(splits, vocabulary=vocabulary, source=found)

    @staticmethod
    def shown_changed(split: str, count: int) -> list[bool]:
        """Which pieces of a split are shown changed, by a fixed draw: the same for every model."""
        if split == "train":
            return [False] * count
        return (np.random.default_rng(0).permutation(count) % 2 == 1).tolist()

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        """All pieces of code in a Python file or below a folder."""
        return self.ask(self.extract_all(python_files(path, tests=self.tests)), topology)

    def ask(self, pieces: Iterable[Any], topology: sn.Topology) -> Iterator[sn.Sample]:
        """The samples of pieces of a user's code, which are shown as written."""
        assert self.vocabulary is not None
        for piece in pieces:
            yield from self.pair(piece, False, topology, self.vocabulary)

    def sample_output(self, output: Tensor, batch: sn.Batch) -> Tensor:
        return output.view(-1, self.group)

    def answer(self, net: nn.Module, batch: sn.Batch) -> list[tuple[str, float]]:
        """The probability that each piece was changed, if `prior` of all were."""
        # A condition is for `log_odds`; nets are trained without one.
        scores = self.sample_output(net(replace(batch, condition=None)), batch).double()
        odds = math.log(self.prior) - math.log1p(-self.prior)
        said = (self.log_odds(scores, batch) + odds).sigmoid()
        return [(self.classes[1], probability) for probability in said.tolist()]

    def log_odds(self, scores: Tensor, batch: sn.Batch) -> Tensor:
        """Of each piece (n,) that it was changed, if half of all were."""
        return scores[:, 1] - scores[:, 0]

    def metrics(self) -> dict[str, Any]:
        from torchmetrics.classification import BinaryCalibrationError

        return {**super().metrics(), "calibration_error": BinaryCalibrationError()}

    def measured(self, output: Tensor, batch: sn.Batch) -> dict[str, tuple[Tensor, Tensor]]:
        scores, y = self.sample_output(output, batch), batch.y[:: self.group]
        found = super().measured(output, batch)
        return {**found, "calibration_error": (scores.softmax(dim=1)[:, 1], y)}

    def loss(self, output: Tensor, batch: sn.Batch) -> Tensor:
        scores = self.sample_output(output, batch)
        return self.cross_entropy(scores, batch.y[:: self.group])

    def num_targets(self, output: Tensor, batch: sn.Batch) -> Tensor:
        return (batch.y[:: self.group] != sn.IGNORE).sum()
