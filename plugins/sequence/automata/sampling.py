"""Random strings of a finite automaton's language, all of one length equally likely.

The strings of length k that are accepted from a state are counted for every k, from 0 on; a string
is drawn symbol by symbol, each with the share of strings that go on from the state it leads to
(Hickey and Cohen 1983, "Uniform random generation of strings in a context-free language").
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from structnet.plugins.sequence.automata.automaton import Automaton

# Counts for more states times lengths would not fit in memory.
MOST_COUNTS = 30_000_000
# How often a near miss is tried.
TRIES = 30


class Sampler:
    """Draws strings that an automaton accepts.

    ValueError if the automaton is too large for such lengths.

    Arguments:
        automaton: of the language.
        longest: the greatest length.
    """

    def __init__(self, automaton: Automaton, longest: int):
        if (longest + 1) * len(automaton) > MOST_COUNTS:
            raise ValueError(
                f"an automaton of {len(automaton)} states with strings of length {longest} takes "
                f"more than {MOST_COUNTS:,} counts: take shorter strings or a simpler pattern"
            )
        self.automaton = automaton
        # As logarithms: there are more strings than a float holds.
        count = np.where(automaton.accepting, 0.0, -np.inf)
        self.log_counts = np.empty((longest + 1, len(automaton)))
        for length in range(longest + 1):
            self.log_counts[length] = count
            count = np.logaddexp.reduce(count[automaton.successors], axis=1)

    def lengths(self, low: int, high: int) -> NDArray[np.int64]:
        """The lengths from `low` to `high` of which there are strings."""
        return low + np.flatnonzero(np.isfinite(self.log_counts[low : high + 1, 0]))

    def draw(self, lengths: Sequence[int] | NDArray, random: np.random.Generator) -> list[str]:
        """A string of each length; ValueError for a length of which there is none."""
        wanted = np.asarray(lengths, np.int64)
        if not np.isfinite(self.log_counts[wanted, 0]).all():
            missing = wanted[~np.isfinite(self.log_counts[wanted, 0])][0]
            raise ValueError(f"no string of length {missing} is accepted")
        successors = self.automaton.successors
        longest = int(wanted.max(initial=0))
        symbols = np.zeros((len(wanted), longest), np.int64)
        state = np.zeros(len(wanted), np.int64)
        for step in range(longest):
            going = np.flatnonzero(wanted > step)
            following = successors[state[going]]
            weight = self.log_counts[(wanted[going] - step - 1)[:, None], following]
            # The largest of Gumbel-distributed sums is each symbol's with its share.
            chosen = (weight + random.gumbel(size=weight.shape)).argmax(1)
            symbols[going, step] = chosen
            state[going] = following[np.arange(len(going)), chosen]
        # Not as an array of characters, which would drop the character of code 0.
        alphabet, rows = self.automaton.alphabet, zip(symbols.tolist(), wanted, strict=True)
        return ["".join(alphabet[i] for i in row[:length]) for row, length in rows]

    def draw_within(
        self, low: int, high: int, count: int, random: np.random.Generator
    ) -> list[str]:
        """Strings of lengths from `low` to `high`, all equally likely; none if there are none."""
        lengths = self.lengths(low, high)
        return self.draw(random.choice(lengths, count), random) if len(lengths) else []


class Mixture:
    """Draws strings half of which an automaton accepts; of the others a share are near misses.

    A near miss is one edit away from a word: a symbol replaced, inserted or left out.

    Arguments:
        automaton: of the language.
        longest: the greatest length.
        near: the share of near misses.
    """

    def __init__(self, automaton: Automaton, longest: int, near: float):
        self.near, self.automaton = near, automaton
        self.words = Sampler(automaton, longest)
        self.others = Sampler(automaton.complement(), longest)

    def draw(self, low: int, high: int, count: int, random: np.random.Generator) -> list[str]:
        """Strings of lengths from `low` to `high`, in random order.

        All are accepted, or none, where there are only such strings.
        """
        inside = self.words.draw_within(low, high, count // 2, random)
        wanted = count - count // 2
        outside = self.near_misses(low, high, round(self.near * wanted), random)
        outside += self.others.draw_within(low, high, wanted - len(outside), random)
        both = inside + outside
        more = self.words if inside else self.others
        both += more.draw_within(low, high, count - len(both), random)
        return [both[i] for i in random.permutation(len(both))]

    def near_misses(
        self, low: int, high: int, count: int, random: np.random.Generator
    ) -> list[str]:
        """Strings that are one edit away from a word: fewer where few are found."""
        found: list[str] = []
        for _ in range(TRIES):
            for word in self.words.draw_within(low, high, count - len(found), random):
                missed = _edited(word, self.automaton.alphabet, random)
                if low <= len(missed) <= high and not self.automaton.accepts(missed):
                    found.append(missed)
            if len(found) == count:
                break
        return found


def _edited(word: str, alphabet: str, random: np.random.Generator) -> str:
    """A word with one random symbol replaced by another, inserted, or left out."""
    kind = random.integers(3)
    at = int(random.integers(len(word) + (kind == 1))) if word or kind == 1 else 0
    symbol = alphabet[random.integers(len(alphabet))]
    if kind == 1:
        return word[:at] + symbol + word[at:]
    return word[:at] + (symbol if kind == 0 else "") + word[at + 1 :]
