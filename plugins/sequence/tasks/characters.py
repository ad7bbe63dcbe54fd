"""Next-character prediction on generated texts."""

import abc
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

import structnet as sn
from structnet.plugins.sequence.topology import refuse_ahead

# An upper bound, as all texts are drawn before training starts.
MOST_TEXTS = 10_000_000
SPLITS = ("train", "validation", "test")


class Text(NamedTuple):
    """A text whose characters from index `start` on are to be predicted."""

    line: str
    start: int


class Characters(sn.Task):
    """Predict the next character of a text, step by step, from the true characters before it.

    The texts are generated: `train_size` of them for training, and a tenth of that number each for
    validation and test. "accuracy" is the share of right predictions among the characters that are
    to be predicted.

    Arguments:
        train_size: the number of training texts.
        seed: the seed of the generated texts.
    """

    structures = ("sequence",)

    def __init__(self, alphabet: str, *, train_size: int = 20_000, seed: int = 0):
        for option, value, least in (("train_size", train_size, 1), ("seed", seed, 0)):
            if value < least:
                raise ValueError(f"option {option!r} is at least {least}, got {value}")
        if train_size > MOST_TEXTS:
            raise ValueError(f"option 'train_size' is at most {MOST_TEXTS:,}, got {train_size}")
        self.classes, self.train_size, self.seed = alphabet, train_size, seed

    @abc.abstractmethod
    def draw(self, count: int, random: np.random.Generator) -> list[Text]:
        """Draw `count` texts over the alphabet."""

    def check(self, topology: sn.Topology) -> None:
        super().check(topology)
        refuse_ahead(self, topology)

    def scores_nodes(self, topology: sn.Topology) -> bool:
        return True

    def readout(self, topology: sn.Topology) -> str:
        return "every"

    @cached_property
    def texts(self) -> dict[str, list[Text]]:
        """The texts of each split."""
        sizes = (self.train_size, *2 * (-(-self.train_size // 10),))
        return {
            split: self.draw(size, np.random.default_rng([self.seed, number]))
            for number, (split, size) in enumerate(zip(SPLITS, sizes, strict=True))
        }

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        """The lines of a text file; after each character the next one is predicted."""
        if not path.is_file():
            raise FileNotFoundError(f"no file {path}; give a text file with one sample per line")
        for number, line in enumerate(sn.read_text(path).splitlines(), start=1):
            ids = self._index[np.frombuffer(line.encode(), np.uint8)]
            if not line or (ids < 0).any():
                odd = next((c for c in line if c not in self.classes), "")
                raise ValueError(
                    f"{path}, line {number}: unknown character {odd!r}, "
                    f"known are {''.join(self.classes)!r}"
                )
            sample = _sample(ids, np.full(len(ids), sn.IGNORE))
            yield replace(sample, origin=sn.Origin(path, number, line))

    def load(self, topology: sn.Topology) -> sn.Splits:
        encoded = {split: list(map(self._encode, some)) for split, some in self.texts.items()}
        vocabulary = self.vocabulary
        if vocabulary is None:
            ids = np.concatenate([x for x, _ in encoded["train"]])
            counts = np.bincount(ids, minlength=len(self.classes)).tolist()
            vocabulary = sn.Vocabulary(dict(zip(self.classes, counts, strict=True)))
        splits = {split: [_sample(x, y) for x, y in some] for split, some in encoded.items()}
        return sn.Splits(splits, vocabulary=vocabulary)

    def loss(self, output: Tensor, batch: sn.Batch) -> Tensor:
        if len(output) != len(batch.y):
            raise ValueError(
                f"{sn.tasks.called(self)} has one target per character: take readout=every"
            )
        return super().loss(output, batch)

    def measured(self, output: Tensor, batch: sn.Batch) -> dict[str, tuple[Tensor, Tensor]]:
        return {"accuracy": (output, batch.y)}

    def baselines(self) -> dict[str, dict[str, float]]:
        """The most frequent character, and the most frequent successor of the character before."""
        (x, y), (x_test, y_test) = (self._pairs(split) for split in ("train", "test"))
        counts = np.zeros((len(self.classes),) * 2)
        np.add.at(counts, (x, y), 1)
        # After a character that never occurs in training, the most frequent one overall.
        bigram = (counts + counts.sum(0) / (1 + counts.sum())).argmax(1)
        return {
            "majority": {"accuracy": float((y_test == counts.sum(0).argmax()).mean())},
            "bigram": {"accuracy": float((y_test == bigram[x_test]).mean())},
        }

    def _encode(self, text: Text) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets as indices into the alphabet."""
        ids = self._index[np.frombuffer(text.line.encode(), np.uint8)]
        y = ids[1:].copy()
        y[: text.start - 1] = sn.IGNORE
        return ids[:-1], y

    @cached_property
    def _index(self) -> np.ndarray:
        index = np.full(256, -1)
        alphabet = np.frombuffer("".join(self.classes).encode(), np.uint8)
        index[alphabet] = np.arange(len(alphabet))
        return index

    def _pairs(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """The inputs and targets of all characters that are to be predicted."""
        x, y = map(np.concatenate, zip(*map(self._encode, self.texts[split]), strict=True))
        return x[y != sn.IGNORE], y[y != sn.IGNORE]


def _sample(x: np.ndarray, y: np.ndarray) -> sn.Sample:
    # Token 0 of a vocabulary is the unknown word.
    return sn.Sample(len(x), sn.Tokens(x + 1, np.arange(len(x) + 1)), y)
