"""BLEU and chrF of texts beside their references, by sacrebleu."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor


def metrics() -> dict[str, Any]:
    """New metrics of torchmetrics, by name; each is updated with texts and their references."""
    from torchmetrics import Metric

    class Corpus(Metric):
        """A score of all texts together, which is not a mean over texts."""

        def __init__(self, name: str):
            super().__init__()
            self.name = name
            self.texts: list[str] = []
            self.references: list[str] = []

        def update(self, texts: Sequence[str], references: Sequence[str]) -> None:
            self.texts += texts
            self.references += references

        def compute(self) -> Tensor:
            return torch.tensor(scores(self.texts, self.references)[self.name])

        def reset(self) -> None:
            super().reset()
            self.texts, self.references = [], []

    return {name: Corpus(name) for name in _measures()}


def scores(texts: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """BLEU and chrF of texts, from 0 to 100."""
    given = list(texts), [list(references)]
    return {name: measure.corpus_score(*given).score for name, measure in _measures().items()}


def signatures() -> str:
    """How the scores are computed, as sacrebleu tells it."""
    # The number of references is known after a call.
    scores(["."], ["."])
    return "; ".join(f"{name} {one.get_signature()}" for name, one in _measures().items())


@cache
def _measures() -> dict[str, Any]:
    try:
        from sacrebleu.metrics.bleu import BLEU
        from sacrebleu.metrics.chrf import CHRF
    except ModuleNotFoundError as error:
        raise ImportError(
            "BLEU and chrF are measured by the library sacrebleu, which is not installed: pip "
            "install sacrebleu, or install structnet with its extra 'translation'"
        ) from error
    # Texts whose signs stand apart are scored as they are, without a warning on the terminal.
    return {"bleu": BLEU(force=True), "chrf": CHRF()}
