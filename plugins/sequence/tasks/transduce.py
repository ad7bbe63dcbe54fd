"""Symbols written backwards, sorted, or as they are: generated, and tested on longer ones."""

import abc
from collections.abc import Sequence
from string import ascii_lowercase
from typing import Any

import numpy as np

import structnet as sn
from structnet.plugins.sequence.translation.task import Transduction, classes_of

# Bounds of options: all strings are drawn before training starts.
MOST_SAMPLES, MOST_SYMBOLS = 1_000_000, 1000
SPLITS = ("train", "validation", "test")
Symbols = tuple[str, ...]


class Transduce(Transduction):
    """A function of strings: trained on short ones, tested on longer ones as well.

    Symbols are letters, drawn at random; all lengths of training strings are equally likely. The
    table has the share of strings without a mistake by length, those longer than in training last.

    Arguments:
        symbols: the number of different symbols.
        longest: the greatest length of a training string.
        times: test strings are up to this many times as long.
        train_size: the number of training strings; a tenth of it are validation strings, and a
            twentieth test strings of each range of lengths.
        seed: the seed of the strings.
    """

    def __init__(
        self,
        *,
        symbols: int = 20,
        longest: int = 10,
        times: int = 2,
        train_size: int = 20_000,
        seed: int = 0,
        **options: Any,
    ):
        """ValueError for an option out of range."""
        super().__init__(**options)
        bounds = {
            "symbols": (symbols, 2, len(ascii_lowercase)), "longest": (longest, 1, MOST_SYMBOLS),
            "times": (times, 1, MOST_SYMBOLS // longest if longest > 0 else 1),
            "train_size": (train_size, 1, MOST_SAMPLES), "seed": (seed, 0, 2**32 - 1),
        }  # fmt: skip
        for name, (value, least, most) in bounds.items():
            if not least <= value <= most:
                raise ValueError(f"option {name!r} is from {least} to {most}, got {value}")
        self.alphabet = ascii_lowercase[:symbols]
        self.longest, self.train_size, self.seed = longest, train_size, seed
        self.ranges = ranges(longest, times)
        self.kinds = [f"{low}-{high}" if low < high else str(low) for low, high in self.ranges]

    @abc.abstractmethod
    def transduce(self, symbols: Symbols) -> Symbols:
        """The target of a string."""

    def join(self, tokens: Sequence[str]) -> str:
        return " ".join(tokens)

    def load(self, topology: sn.Topology) -> sn.Splits:
        strings = self.strings()
        if self.vocabulary is None:
            counts = dict.fromkeys(self.alphabet, self.train_size)
            self.know(sn.Vocabulary(counts), {"classes": classes_of(counts)})
        splits = {
            split: [self.sample(string, kind) for string, kind in some]
            for split, some in strings.items()
        }
        learned = {"classes": list(self.classes), "longest": self.longest}
        return sn.Splits(splits, vocabulary=self.vocabulary, source=strings, **learned)

    def strings(self) -> dict[str, list[tuple[Symbols, int]]]:
        """The strings of each split, with their ranges of lengths as indices."""
        random = {split: np.random.default_rng([self.seed, i]) for i, split in enumerate(SPLITS)}
        checked = [span for span in self.ranges if span[1] <= self.longest]
        twentieth, tenth = (max(2, -(-self.train_size // parts)) for parts in (20, 10))
        drawn = {
            "train": ([(1, self.longest)], self.train_size),
            "validation": (checked, -(-tenth // len(checked))),
            "test": (self.ranges, twentieth),
        }
        return {
            split: [
                (string, self.kind(len(string)))
                for low, high in ranges
                for string in self.draw(low, high, count, random[split])
            ]
            for split, (ranges, count) in drawn.items()
        }

    def draw(self, low: int, high: int, count: int, random: np.random.Generator) -> list[Symbols]:
        """Strings whose lengths are within a range."""
        lengths = random.integers(low, high, count, endpoint=True)
        letters = iter(random.choice(list(self.alphabet), int(lengths.sum())).tolist())
        return [tuple(next(letters) for _ in range(length)) for length in lengths.tolist()]

    def kind(self, length: int) -> int:
        """The range of a length; the last one for greater lengths."""
        return next(
            (kind for kind, (_, high) in enumerate(self.ranges) if length <= high),
            len(self.ranges) - 1,
        )

    def sample(
        self, string: Symbols, kind: int = 0, origin: Any = None, known: bool = True
    ) -> sn.Sample:
        assert self.vocabulary is not None
        target = self.target(self.transduce(string) if known else None)
        x = self.vocabulary.tokens([[symbol] for symbol in string])
        return sn.Sample(len(string), x, sn.IGNORE, kind, origin, parts=(target,))

    def read_text(self, text: Any, topology: sn.Topology) -> sn.Sample:
        """A user's string, its symbols with or without spaces between them."""
        symbols = tuple("".join(text.text.split()))
        odd = next((one for one in symbols if one not in self.alphabet), None)
        if odd is not None or not symbols:
            what = "no symbols" if odd is None else f"{odd!r}"
            raise ValueError(
                f"{text.path}, line {text.line}: {what}, expected letters of {self.alphabet!r}"
            )
        return self.sample(symbols, self.kind(len(symbols)), text, known=False)

    def baselines(self) -> dict[str, dict[str, float]]:
        """How often the string itself is the answer."""
        test = self.loaded.source["test"]
        right = np.array([self.transduce(string) == string for string, _ in test])
        kind = np.array([kind for _, kind in test])
        of_kind = {name: float(right[kind == i].mean()) for i, name in enumerate(self.kinds)}
        return {"the string as it is": {"exact": float(right.mean()), **of_kind}}


@sn.tasks.register("reverse")
class Reverse(Transduce):
    """Write symbols backwards."""

    def transduce(self, symbols: Symbols) -> Symbols:
        return symbols[::-1]


@sn.tasks.register("sort")
class Sort(Transduce):
    """Write symbols in the order of the alphabet, each as often as it occurs."""

    def transduce(self, symbols: Symbols) -> Symbols:
        return tuple(sorted(symbols))


@sn.tasks.register("copy")
class Copy(Transduce):
    """Write symbols as they are."""

    def transduce(self, symbols: Symbols) -> Symbols:
        return symbols


def ranges(longest: int, times: int) -> list[tuple[int, int]]:
    """Ranges of lengths up to `times` times the longest, half as wide as that or less."""
    width = -(-longest // 2)
    found = []
    for end in range(longest, times * longest + 1, longest):
        low = end - longest + 1
        found += [(low, low + width - 1), (low + width, end)] if width < longest else [(low, end)]
    return found
