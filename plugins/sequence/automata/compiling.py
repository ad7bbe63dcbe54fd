"""From a regular expression to its minimal automaton: Thompson's construction, then subsets.

Thompson (1968), "Regular expression search algorithm"; Rabin and Scott (1959), "Finite automata and
their decision problems", theorem 11.
"""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from structnet.plugins.sequence.automata.automaton import Automaton
from structnet.plugins.sequence.automata.pattern import (
    Anchor,
    Characters,
    Choice,
    Node,
    Repeat,
    Series,
    alphabet_of,
    characters_of,
    parse,
    shown,
)

# Beyond these a pattern is refused: subsets can be exponentially many.
MOST_STATES, MOST_PARTS = 10_000, 50_000


def compile_pattern(pattern: str, alphabet: str | None = None) -> Automaton:
    """The minimal automaton of the strings over an alphabet that `re.fullmatch` finds a match for.

    ValueError for a pattern that cannot be read (`pattern.parse`), that accepts nothing, or that
    needs more than MOST_STATES states.

    Arguments:
        pattern: the regular expression.
        alphabet: the symbols; by default the characters that the pattern names (`alphabet_of`).
    """
    tree = parse(pattern)
    if alphabet is None:
        alphabet = alphabet_of(tree)
    if not alphabet:
        raise ValueError(f"{shown(pattern)} names no characters: give it an alphabet")
    if len(set(alphabet)) < len(alphabet):
        twice = next(one for one in alphabet if alphabet.count(one) > 1)
        raise ValueError(f"alphabet {alphabet!r} has {twice!r} twice: name each symbol once")
    if "\n" in alphabet and "$" in pattern:
        raise ValueError(
            f"{shown(pattern)}: `$` also matches before a line break, which is in the alphabet: "
            r"write \Z for the end"
        )
    try:
        found = _subsets(_Machine(tree), alphabet)
    except _TooLargeError as error:
        raise ValueError(f"{shown(pattern)} needs more than {error}: write a simpler one") from None
    if found.is_empty:
        raise ValueError(
            f"{shown(pattern)} accepts no string over the alphabet {alphabet!r}: add the "
            "characters that it needs, or mend it"
        )
    return found.minimal()


class _TooLargeError(Exception):
    """A pattern that needs more than is allowed."""


class _Machine:
    """The nondeterministic automaton of a tree; it begins in state 0.

    Attributes:
        size: the number of states.
        empty: by state, the states that follow without reading anything.
        anchored: by state, those that follow at the start of the string (True) or its end (False).
        moves: by state, those that follow a character.
        final: the state in which it accepts.
    """

    def __init__(self, tree: Node):
        self.size = 0
        self.empty: defaultdict[int, list[int]] = defaultdict(list)
        self.anchored: defaultdict[int, list[tuple[bool, int]]] = defaultdict(list)
        self.moves: defaultdict[int, list[tuple[Characters, int]]] = defaultdict(list)
        self.characters = characters_of(tree)
        self.final = self._build(tree, self._add())

    def close(self, states: Iterable[int], *, at_start: bool, at_end: bool) -> frozenset[int]:
        """The states, with those that follow without reading anything."""
        found = set(states)
        open_ = list(found)
        while open_:
            state = open_.pop()
            anchored = self.anchored.get(state, ())
            held = [to for start, to in anchored if (at_start if start else at_end)]
            for following in (*self.empty.get(state, ()), *held):
                if following not in found:
                    found.add(following)
                    open_.append(following)
        return frozenset(found)

    def _add(self) -> int:
        if self.size >= MOST_PARTS:
            raise _TooLargeError(f"{MOST_PARTS:,} parts when its repeats are written out")
        self.size += 1
        return self.size - 1

    def _build(self, node: Node, start: int) -> int:
        """Add what reads a part from a state on; the state in which it ends."""
        if isinstance(node, Series):
            for part in node.parts:
                start = self._build(part, start)
            return start
        if isinstance(node, Repeat):
            return self._repeat(node, start)
        end = self._add()
        if isinstance(node, Characters):
            self.moves[start].append((node, end))
        elif isinstance(node, Anchor):
            self.anchored[start].append((node.is_start, end))
        else:
            assert isinstance(node, Choice)
            for part in node.parts:
                begin = self._add()
                self.empty[start].append(begin)
                self.empty[self._build(part, begin)].append(end)
        return end

    def _repeat(self, node: Repeat, start: int) -> int:
        for _ in range(node.least):
            before, start = start, self._build(node.part, start)
            # A part that reads nothing is as good once.
            if start == before:
                return start
        if node.most is None:
            loop = self._add()
            self.empty[start].append(loop)
            self.empty[self._build(node.part, loop)].append(loop)
            return loop
        end = self._add()
        for _ in range(node.most - node.least):
            self.empty[start].append(end)
            before, start = start, self._build(node.part, start)
            if start == before:
                break
        self.empty[start].append(end)
        return end


def _subsets(machine: _Machine, alphabet: str) -> Automaton:
    """The deterministic automaton whose states are sets of the machine's states."""
    read = {one: set(one.among(alphabet)) for one in machine.characters}
    kinds = [tuple(symbol in some for some in read.values()) for symbol in alphabet]
    # Symbols that no part of the pattern tells apart, by the first of them.
    first = dict(zip(reversed(kinds), reversed(alphabet), strict=True))
    moves = machine.moves
    start = machine.close([0], at_start=True, at_end=False)
    numbers, rows = {start: 0}, []
    open_ = [start]
    for states in open_:
        follows: dict[str, int] = {}
        for symbol in first.values():
            reached = {to for s in states for one, to in moves.get(s, ()) if symbol in read[one]}
            after = machine.close(reached, at_start=False, at_end=False)
            if after not in numbers:
                if len(numbers) >= MOST_STATES:
                    raise _TooLargeError(f"{MOST_STATES:,} states")
                numbers[after] = len(numbers)
                open_.append(after)
            follows[symbol] = numbers[after]
        rows.append([follows[first[kind]] for kind in kinds])
    accepting = [
        machine.final in machine.close(states, at_start=number == 0, at_end=True)
        for number, states in enumerate(open_)
    ]
    return Automaton(alphabet, np.array(rows, np.int64), np.array(accepting))
