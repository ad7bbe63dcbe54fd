"""L*: the automaton of a net's language, from the net's answers alone.

Angluin (1987), "Learning regular sets from queries and counterexamples": a table of prefixes and
suffixes, filled by asking whether a string is accepted, is made closed, and its rows are the states
of a hypothesis. Weiss, Goldberg and Yahav (2018), "Extracting automata from recurrent neural
networks using queries and counterexamples", ask a trained net. Where they look for counterexamples
in an abstraction of the net's states, here strings are tried: all short ones, and those of a sample
that the caller gives (Angluin's section 4, in which equality is asked by sampling). Of a
counterexample the one suffix that splits a state is kept (Rivest and Schapire 1993, section 4.5).
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from structnet.plugins.sequence.automata.automaton import Automaton

# Whether each of many strings is accepted.
Oracle = Callable[[Sequence[str]], NDArray[np.bool_]]
# How many of all short strings are tried, shortest first.
SHORT = 2_000


class Learned(NamedTuple):
    """What was read out of a net.

    Arguments:
        automaton: minimal.
        is_complete: whether it agrees with the net on all strings tried; else it grew too large.
        queries: how many strings the net was asked.
    """

    automaton: Automaton
    is_complete: bool
    queries: int


def learn(
    oracle: Oracle,
    alphabet: str,
    sample: Callable[[Automaton], Sequence[str]],
    most_states: int,
) -> Learned:
    """The smallest automaton that agrees with an oracle on all strings tried.

    Arguments:
        oracle: says which strings are accepted; each string is asked once.
        alphabet: the symbols.
        sample: further strings to try a hypothesis on.
        most_states: at least 2; learning stops with the last hypothesis that has no more than this.
    """
    table = _Table(oracle, alphabet)
    short = _shortest(alphabet, SHORT)
    found = table.hypothesis(most_states)
    while found is not None:
        last = found
        wrong = _disagreement(table, found, short) or _disagreement(table, found, sample(found))
        if wrong is None:
            return Learned(found.minimal(), True, len(table.known))
        table.split(found, wrong)
        found = table.hypothesis(most_states)
    return Learned(last.minimal(), False, len(table.known))


class _Table:
    """The observation table: rows are access strings, one per state, columns are suffixes."""

    def __init__(self, oracle: Oracle, alphabet: str):
        self.oracle, self.alphabet = oracle, alphabet
        self.known: dict[str, bool] = {}
        self.states, self.suffixes = [""], [""]

    def ask(self, strings: Iterable[str]) -> list[bool]:
        strings = list(strings)
        new = list(dict.fromkeys(s for s in strings if s not in self.known))
        if new:
            self.known.update(zip(new, self.oracle(new).tolist(), strict=True))
        return [self.known[string] for string in strings]

    def hypothesis(self, most_states: int) -> Automaton | None:
        """Close the table and read it; None if that takes more states than allowed."""
        while True:
            rows = self._rows(self.states)
            number = {row: index for index, row in enumerate(rows)}
            longer = [state + symbol for state in self.states for symbol in self.alphabet]
            following = self._rows(longer)
            # Of several ways to a new state, the first and shortest.
            ways = zip(reversed(following), reversed(longer), strict=True)
            fresh = {row: string for row, string in ways if row not in number}
            if not fresh:
                break
            self.states += fresh.values()
            if len(self.states) > most_states:
                return None
        successors = np.array([number[row] for row in following])
        return Automaton(
            self.alphabet,
            successors.reshape(len(self.states), -1),
            np.array(self.ask(self.states)),
        )

    def split(self, hypothesis: Automaton, wrong: str) -> None:
        """Add the suffix of a counterexample that tells a state from its access string."""
        trace = hypothesis.trace(wrong)

        def answer(at: int) -> bool:
            """What the oracle says where the first symbols are replaced by their state's access."""
            return self.ask([self.states[trace[at]] + wrong[at:]])[0]

        low, high, first = 0, len(wrong), answer(0)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if answer(middle) == first else (low, middle)
        self.suffixes.append(wrong[high:])

    def _rows(self, strings: Sequence[str]) -> list[tuple[bool, ...]]:
        width = len(self.suffixes)
        flat = self.ask(string + suffix for string in strings for suffix in self.suffixes)
        return [tuple(flat[at : at + width]) for at in range(0, len(flat), width)]


def _disagreement(table: _Table, hypothesis: Automaton, strings: Sequence[str]) -> str | None:
    """The shortest string on which hypothesis and oracle differ, None if there is none."""
    differ = np.array(table.ask(strings), bool) != hypothesis.labels(strings)
    return min((strings[i] for i in np.flatnonzero(differ).tolist()), key=len, default=None)


def _shortest(alphabet: str, count: int) -> list[str]:
    """All strings up to the greatest length of which there are no more than `count`, or one."""
    found, length = [""], 1
    while len(found) + len(alphabet) ** length <= max(count, len(alphabet) + 1):
        found += map("".join, product(alphabet, repeat=length))
        length += 1
        if len(alphabet) == 1 and length > count:
            break
    return found
