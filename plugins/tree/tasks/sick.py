"""SICK: how related two sentences are, and whether one follows from the other."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

import structnet as sn
from structnet.plugins.files.lines import Line
from structnet.plugins.tree.pairs.sentences import IDS, LEAST, MOST, SentencePair, read_classes
from structnet.plugins.tree.pairs.task import SentencePairs

# The table of every split, with the classes of the pairs.
TABLES = {
    "train": "SICK_train.txt",
    "validation": "SICK_trial.txt",
    "test": "SICK_test_annotated.txt",
}
CLASSES = ("entailment", "neutral", "contradiction")


@sn.tasks.register("sick_relatedness")
class Relatedness(SentencePairs, sn.Regression):
    """How related the meanings of two sentences are, from 1 to 5.

    SICK (Marelli et al. 2014). The net gives a distribution over the scores 1 to 5, whose mean is
    the prediction, and the loss is the Kullback-Leibler divergence from the two scores next to the
    true one (Tai et al. 2015, section 4.2, eq. 15-16). Metrics: "pearson" and "spearman", the
    correlation of scores and of ranks, and "mse", the mean squared error.
    """

    unit = "of 5"
    monitor, mode = "pearson", "max"
    loss_unit = "nats"
    learned = ()
    unknown = np.float32("nan")

    @property
    def num_outputs(self) -> int:
        return int(MOST - LEAST) + 1

    def targets(self, split: str, pairs: list[SentencePair]) -> list[Any]:
        return [np.float32(one.score) for one in pairs]

    def values(self, output: Tensor) -> Tensor:
        """The means (n,) of the distributions that a net's outputs (n, 5) are."""
        scores = torch.arange(LEAST, MOST + 1, dtype=output.dtype, device=output.device)
        return output.softmax(dim=1) @ scores

    def loss(self, output: Tensor, batch: sn.Batch) -> Tensor:
        known = ~batch.y.isnan()
        log_probs = output[known].log_softmax(dim=1)
        target = distribution(batch.y[known], self.num_outputs).to(log_probs.dtype)
        divergence = F.kl_div(log_probs, target, reduction="sum")
        return divergence / known.sum().clamp(min=1)

    def metrics(self) -> dict[str, Any]:
        from torchmetrics import MeanSquaredError, PearsonCorrCoef, SpearmanCorrCoef

        with warnings.catch_warnings():
            # That ranks need all numbers of a split in memory.
            warnings.simplefilter("ignore")
            spearman = SpearmanCorrCoef()
        return {"pearson": PearsonCorrCoef(), "spearman": spearman, "mse": MeanSquaredError()}

    def measured(self, output: Tensor, batch: sn.Batch) -> dict[str, tuple[Tensor, Tensor]]:
        known = ~batch.y.isnan()
        pair = self.values(output[known].float()), batch.y[known]
        return dict.fromkeys(("pearson", "spearman", "mse"), pair)

    def baselines(self) -> dict[str, dict[str, float]]:
        """Ridge regression and boosted trees on what the sentences share."""
        from structnet.plugins.baselines.features import predict_numbers

        x, y = self._table("test")
        made = self.metrics()
        found = {}
        for name, said in predict_numbers(self._table("train"), x).items():
            # A constant has no correlation.
            if np.ptp(said) > 0:
                pair = torch.from_numpy(said).float(), torch.from_numpy(y)
                found[name] = {one: float(metric(*pair)) for one, metric in made.items()}
        return found


@sn.tasks.register("sick_entailment")
class Entailment(SentencePairs):
    """Whether the second of two sentences follows from the first, contradicts it, or neither.

    SICK (Marelli et al. 2014); the classes are those of SICK_train.txt, SICK_trial.txt and
    SICK_test_annotated.txt, by the numbers of pairs.
    """

    classes = CLASSES

    def find(self) -> dict[str, Path]:
        found = super().find()
        sn.data_folder(self.root, "sick", list(TABLES.values()))
        return found

    def targets(self, split: str, pairs: list[SentencePair]) -> list[Any]:
        table = sn.data_folder(self.root, "sick", [TABLES[split]]) / TABLES[split]
        known = read_classes(table, CLASSES)
        for one in pairs:
            if one.id not in known:
                ids = Line(one.path.with_name(IDS), one.line, one.id)
                raise ids.refuse(one.id, f"the number of a pair in {table}")
        return [np.int64(CLASSES.index(known[one.id])) for one in pairs]

    def baselines(self) -> dict[str, dict[str, float]]:
        """The most frequent class, and logistic regression on what the sentences share."""
        from structnet.plugins.baselines.features import fit_classes

        return fit_classes(self._table("train"), self._table("test"), "regression")


def distribution(y: Tensor, count: int) -> Tensor:
    """The distributions (n, count) over 1 to `count` of scores (n,): their means are the scores.

    Each has the two whole numbers next to the score (Tai et al. 2015, eq. 16).
    """
    scores = torch.arange(1, count + 1, dtype=y.dtype, device=y.device)
    return (1 - (y[:, None] - scores).abs()).clamp(min=0)
