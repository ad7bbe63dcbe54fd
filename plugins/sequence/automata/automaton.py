"""Deterministic finite automata.

S: states, A: symbols.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Automaton:
    """A complete deterministic finite automaton, which begins in state 0.

    Arguments:
        alphabet: its symbols, one character each.
        successors: the state that follows each state at each symbol (S, A).
        accepting: whether a string that ends in a state is in the language (S,).
    """

    alphabet: str
    successors: NDArray[np.int64]
    accepting: NDArray[np.bool_]

    def __len__(self) -> int:
        """The number of states."""
        return len(self.accepting)

    def __eq__(self, other: object) -> bool:
        """Whether states, numbered as they are, and symbols are the same."""
        return (
            isinstance(other, Automaton)
            and self.alphabet == other.alphabet
            and np.array_equal(self.successors, other.successors)
            and np.array_equal(self.accepting, other.accepting)
        )

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def trace(self, string: str) -> list[int]:
        """The states along a string, from the start on; KeyError for an unknown symbol."""
        state = 0
        states = [state]
        for symbol in string:
            state = self._rows[state][self._index[symbol]]
            states.append(state)
        return states

    def accepts(self, string: str) -> bool:
        return bool(self.accepting[self.trace(string)[-1]])

    def labels(self, strings: Sequence[str]) -> NDArray[np.bool_]:
        """Whether each string is in the language."""
        return np.array([self.accepts(string) for string in strings], bool)

    def complement(self) -> "Automaton":
        return Automaton(self.alphabet, self.successors, ~self.accepting)

    @cached_property
    def is_empty(self) -> bool:
        """Whether it accepts no string at all."""
        return not self.accepting[self._reachable].any()

    @cached_property
    def dead(self) -> NDArray[np.bool_]:
        """The states from which no string is accepted (S,)."""
        alive = self.accepting.copy()
        while (more := alive[self.successors].any(1) & ~alive).any():
            alive |= more
        return ~alive

    def minimal(self) -> "Automaton":
        """The automaton of the same language with the fewest states, numbered breadth first.

        By partition refinement (Hopcroft 1971). Automata of the same language become equal.
        """
        kept = self._reachable
        number = np.full(len(self), -1)
        number[kept] = np.arange(len(kept))
        successors, accepting = number[self.successors[kept]], self.accepting[kept]
        block = _refine(successors, accepting)
        _, first = np.unique(block, return_index=True)
        merged = Automaton(self.alphabet, block[successors[first]], accepting[first])
        # The start's block has any number.
        order = merged._from(int(block[0]))
        number = np.empty(len(order), np.int64)
        number[order] = np.arange(len(order))
        return Automaton(self.alphabet, number[merged.successors[order]], merged.accepting[order])

    def difference(self, other: "Automaton") -> str | None:
        """A shortest string that only one of both accepts; None if their languages are equal.

        ValueError for automata over different alphabets.
        """
        if self.alphabet != other.alphabet:
            raise ValueError(
                f"automata over different alphabets, {self.alphabet!r} and {other.alphabet!r}"
            )
        came: dict[tuple[int, int], tuple[tuple[int, int], str] | None] = {(0, 0): None}
        open_ = deque(came)
        while open_:
            pair = mine, its = open_.popleft()
            if self.accepting[mine] != other.accepting[its]:
                symbols = ""
                while (step := came[pair]) is not None:
                    pair, symbol = step
                    symbols = symbol + symbols
                return symbols
            both = zip(self._rows[mine], other._rows[its], self.alphabet, strict=True)
            for a, b, symbol in both:
                if (a, b) not in came:
                    came[a, b] = (mine, its), symbol
                    open_.append((a, b))
        return None

    @cached_property
    def _reachable(self) -> NDArray[np.int64]:
        return self._from(0)

    def _from(self, start: int) -> NDArray[np.int64]:
        """The states that can be reached from one, breadth first."""
        found = {start: None}
        open_ = deque(found)
        while open_:
            for state in self._rows[open_.popleft()]:
                if state not in found:
                    found[state] = None
                    open_.append(state)
        return np.array(list(found), np.int64)

    @cached_property
    def _rows(self) -> list[list[int]]:
        return self.successors.tolist()

    @cached_property
    def _index(self) -> dict[str, int]:
        return {symbol: index for index, symbol in enumerate(self.alphabet)}


def _refine(successors: NDArray[np.int64], accepting: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The block of every state (S,): those in one block accept the same strings."""
    # Symbols that lead to the same states everywhere are as one.
    successors = np.unique(successors, axis=1)
    before: list[list[list[int]]] = []
    for column in successors.T:
        before.append([[] for _ in accepting])
        for state, following in enumerate(column.tolist()):
            before[-1][following].append(state)
    block = accepting.astype(np.int64).tolist()
    members = [set(np.flatnonzero(accepting == side).tolist()) for side in (False, True)]
    if not all(members):
        return np.zeros(len(accepting), np.int64)
    open_ = {min((0, 1), key=lambda side: len(members[side]))}
    while open_:
        splitter = list(members[open_.pop()])
        for sources in before:
            touched: dict[int, set[int]] = {}
            for state in splitter:
                for source in sources[state]:
                    touched.setdefault(block[source], set()).add(source)
            for old, inside in touched.items():
                if len(inside) == len(members[old]):
                    continue
                # The smaller part gets the new number, so a state moves at most log S times.
                outside = members[old] - inside
                small, large = sorted((inside, outside), key=len)
                members[old] = large
                new = len(members)
                members.append(small)
                for state in small:
                    block[state] = new
                # If the old block is still open, both parts are; otherwise the smaller one will do.
                open_.add(new)
    return np.array(block)
