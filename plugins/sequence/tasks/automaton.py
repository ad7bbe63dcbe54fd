"""Acceptors and transducers of regular languages, learned from strings."""

import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.sequence.automata.compiling import compile_pattern
from structnet.plugins.sequence.automata.languages import LANGUAGES, Name
from structnet.plugins.sequence.automata.pattern import shown
from structnet.plugins.sequence.automata.sampling import Mixture

# The token before the first symbol, so that the empty string has a state and a label as well.
START = "<s>"
OUTSIDE, INSIDE = 0, 1
# Bounds of options: all strings are drawn before training starts.
MOST_STRINGS, MOST_STEPS = 1_000_000, 10_000
Spans = list[tuple[int, int]]


@sn.tasks.register("automaton")
class AutomatonTask(sn.Task):
    """Whether a string is in a regular language: trained on short strings, tested on longer ones.

    The language is one of those in the literature, or that of a regular expression. Half of the
    strings are in it, uniformly drawn among those of a length, all lengths equally likely; of the
    others a share are near misses, one edit away from a word. `accept` has one label per string,
    `transduce` one after every symbol, for the string read so far. A token before the first symbol
    gives the empty string its label. Training strings have up to `longest` symbols, test strings
    up to `times` as many, and validation strings up to half of that: the table has the accuracy at
    each range of lengths.

    Arguments:
        language: a language by name; tomita4 if no pattern is given either.
        pattern: a regular expression in Python's syntax, in place of a named language.
        alphabet: the symbols of the pattern's language; by default the characters it names.
        goal: accept labels strings, transduce labels every step.
        longest: the greatest length of a training string.
        times: test strings are up to this many times as long.
        near: the share of near misses among the strings outside the language.
        train_size: the number of training strings; a tenth of it are validation strings, and a
            twentieth test strings of each range of lengths.
        seed: the seed of the strings.
    """

    structures = ("sequence",)
    classes = ("outside", "inside")

    def __init__(
        self,
        *,
        language: Name | None = None,
        pattern: str | None = None,
        alphabet: str | None = None,
        goal: Literal["accept", "transduce"] = "accept",
        longest: int = 20,
        times: int = 10,
        near: float = 0.5,
        train_size: int = 20_000,
        seed: int = 0,
    ):
        """ValueError for an option out of range, or a pattern that is not taken."""
        _check("longest", longest, 1, MOST_STEPS)
        _check("times", times, 1, MOST_STEPS // longest)
        _check("train_size", train_size, 1, MOST_STRINGS)
        _check("near", near, 0, 1)
        _check("seed", seed, 0, 2**32)
        if pattern is not None and language is not None:
            raise ValueError(
                f"a language is named, {language!r}, and {shown(pattern)} given: leave one out"
            )
        if pattern is None and alphabet is not None:
            raise ValueError("option 'alphabet' is for a pattern, set pattern as well")
        self.goal, self.longest, self.near = goal, longest, near
        self.train_size, self.seed = train_size, seed
        self.title = language or pattern or "tomita4"
        if pattern is None:
            known = LANGUAGES[language or "tomita4"]
            pattern, alphabet = known.pattern, known.alphabet
        self.pattern = pattern
        self.automaton = compile_pattern(pattern, alphabet)
        self.ranges = ranges(longest, times)
        self.kinds = [f"{low}-{high}" for low, high in self.ranges]
        for part, what, way_out in (
            (self.mixture.words, "no", "set longest to more"),
            (self.mixture.others, "every", "give an alphabet with more symbols"),
        ):
            if not len(part.lengths(0, longest)):
                raise ValueError(
                    f"{what} string of at most {longest} symbols over {self.automaton.alphabet!r} "
                    f"is in the language of {shown(pattern)}: {way_out}"
                )

    def commands(self, topology: sn.Topology) -> Iterator[Sequence[str]]:
        yield ("automaton",)
        yield from super().commands(topology)

    @cached_property
    def mixture(self) -> Mixture:
        """Draws strings in the language and outside."""
        return Mixture(self.automaton, self.ranges[-1][1], self.near)

    def load(self, topology: sn.Topology) -> sn.Splits:
        strings = self.strings()
        vocabulary = self.vocabulary
        if vocabulary is None:
            joined = "".join(string for string, _ in strings["train"])
            counts = {symbol: joined.count(symbol) for symbol in self.automaton.alphabet}
            vocabulary = sn.Vocabulary({START: self.train_size, **counts})
        splits = {
            split: [self.sample(string, vocabulary, kind) for string, kind in some]
            for split, some in strings.items()
        }
        return sn.Splits(splits, vocabulary=vocabulary, source=strings)

    def strings(self) -> dict[str, list[tuple[str, int]]]:
        """The strings of each split, with their ranges of lengths as indices."""
        train, validation, test = (np.random.default_rng([self.seed, i]) for i in range(3))
        drawn = self.draw((0, self.longest), self.train_size, train)
        splits = {"train": [(string, 0) for string in drawn], "validation": [], "test": []}
        # The longest are seen in the test alone.
        checked = self.ranges[:-1] or self.ranges
        for kind, span in enumerate(self.ranges):
            if kind < len(checked):
                share = -(-self.train_size // (10 * len(checked)))
                found = self.draw(span, share, validation)
                splits["validation"] += [(string, kind) for string in found]
            found = self.draw(span, max(2, -(-self.train_size // 20)), test)
            splits["test"] += [(string, kind) for string in found]
        return splits

    def draw(self, span: tuple[int, int], count: int, random: np.random.Generator) -> list[str]:
        """Strings of lengths within a range, half of them in the language, in random order.

        A DataWarning where all strings of these lengths are in it, or none is.
        """
        low, high = span
        for part, which in ((self.mixture.words, "in"), (self.mixture.others, "outside")):
            if not len(part.lengths(low, high)):
                warnings.warn(
                    f"no string of {low} to {high} symbols is {which} the language of "
                    f"{shown(self.pattern)}: all samples of these lengths are of one class",
                    sn.DataWarning,
                    stacklevel=2,
                )
        return self.mixture.draw(low, high, count, random)

    def sample(
        self,
        string: str,
        vocabulary: sn.Vocabulary | None = None,
        kind: int = 0,
        origin: Any = None,
    ) -> sn.Sample:
        """A string over the alphabet, labelled as the language has it."""
        vocabulary = vocabulary or self.vocabulary
        assert vocabulary is not None
        tokens = vocabulary.tokens([[START], *map(list, string)])
        y: NDArray = self.automaton.accepting[self.automaton.trace(string)].astype(np.int64)
        target = y if self.goal == "transduce" else y[-1]
        return sn.Sample(len(y), tokens, target, kind, origin)

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        """The lines of a text file, one string each."""
        if not path.is_file():
            raise FileNotFoundError(f"no file {path}; give a text file with one string per line")
        # Only the line breaks that editors write: others may be symbols.
        text = sn.read_text(path).replace("\r\n", "\n")
        lines = text.removesuffix("\n").split("\n") if text else []
        for number, line in enumerate(lines, start=1):
            yield self.read_text(sn.Origin(path, number, line), topology)

    def read_text(self, text: Any, topology: sn.Topology) -> sn.Sample:
        """A string; ValueError names a character that is not a symbol of the language."""
        odd = next((one for one in text.text if one not in self.automaton.alphabet), None)
        if odd is not None:
            raise ValueError(
                f"{text.path}, line {text.line}: {odd!r} is not a symbol of the language, whose "
                f"alphabet is {self.automaton.alphabet!r}"
            )
        return self.sample(text.text, origin=text)

    def scores_nodes(self, topology: sn.Topology) -> bool:
        return self.goal == "transduce"

    def baselines(self) -> dict[str, dict[str, float]]:
        """Models that keep no state: the majority, the last symbols, counts of pairs."""
        from structnet.plugins.sequence.automata.baselines import fit_strings

        split, every = self.loaded.source, self.goal == "transduce"
        return fit_strings(self.automaton, split["train"], split["test"], self.kinds, every)


def ranges(longest: int, times: int) -> Spans:
    """Ranges of test lengths: up to `longest`, and as wide up to 2, `times` / 2 and `times` it."""
    factors = sorted({1, *(f for f in (2, times // 2, times) if 1 < f <= times)})
    return [(0 if f == 1 else (f - 1) * longest + 1, f * longest) for f in factors]


def _check(option: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise ValueError(f"option {option!r} is from {least} to {most}, got {value}")
