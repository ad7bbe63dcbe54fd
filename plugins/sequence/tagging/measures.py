"""Measures of tags: accuracy of words, and precision, recall and F1 of entities.

An entity is right if its words and its kind are; figures are over all entities of a split, as
conlleval.pl of CoNLL-2000 counts. They are 0 where there is nothing to divide by.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from structnet.plugins.sequence.tagging.entities import Entity
from structnet.plugins.text.accuracy import accuracy
from structnet.plugins.text.figures import FIGURES, figure_metric, figures

# The entities of a sentence as they were predicted, and as they are.
Pair = tuple[Iterable[Entity], Iterable[Entity]]


def names_of(kinds: Sequence[str]) -> dict[str, tuple[str, int | None]]:
    """The measures of entities by name: a figure, and a kind's number or None for all kinds."""
    found: dict[str, tuple[str, int | None]] = {name: (name, None) for name in FIGURES}
    for number, kind in enumerate(kinds):
        # Entities without kinds have the figures of all.
        if not kind:
            continue
        # Torch does not allow a dot in the name of a module.
        found |= {f"{kind.replace('.', '_')} {name}": (name, number) for name in FIGURES}
    return found


def counts(pairs: Iterable[Pair], kinds: Sequence[str]) -> Tensor:
    """How many entities of each kind are right, predicted, and there, (kinds, 3)."""
    number = {kind: at for at, kind in enumerate(kinds)}
    found = [[0, 0, 0] for _ in kinds]
    for predicted, true in pairs:
        said, there = set(predicted), set(true)
        for column, some in enumerate((said & there, said, there)):
            for entity in some:
                found[number[entity.kind]][column] += 1
    return torch.tensor(found, dtype=torch.float64).reshape(-1, 3)


def entity_figures(pairs: Iterable[Pair], kinds: Sequence[str]) -> dict[str, float]:
    """All measures of entities, by name."""
    found = counts(pairs, kinds)
    return {
        name: figures(*_of(found, kind).tolist())[figure]
        for name, (figure, kind) in names_of(kinds).items()
    }


def _of(found: Tensor, kind: int | None) -> Tensor:
    return found.sum(0) if kind is None else found[kind]


def metrics(kinds: Sequence[str] | None) -> dict[str, Any]:
    """New metrics of torchmetrics by name: accuracy and, with kinds of entities, their figures.

    Accuracy is that of `plugins.text.accuracy`. The others are updated with the columns of
    `counts`: right and predicted (kinds, 2), and there (kinds,).
    """
    of_entities = {} if kinds is None else names_of(kinds)
    return {"accuracy": accuracy()} | {
        name: figure_metric(*one) for name, one in of_entities.items()
    }
