"""Consecutive steps of a plan: levels, and chunks of levels, with the rows that they read."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from weakref import WeakKeyDictionary

import numpy as np
from torch import Tensor

from structnet.execute.compiled.signature import Product
from structnet.topology.plan import Plan, Step

# The least number of nodes of a chunk, unless it is the last.
CHUNK = 4096


class Span:
    """Consecutive steps: their nodes, and the part of a plan's rows that they read."""

    def __init__(self, steps: Sequence[Step]):
        self.nodes = slice(steps[0].start, steps[-1].stop)
        self.reads = slice(steps[0].offset, steps[-1].reads.stop)

    def rows(self, product: Product) -> slice:
        return self.reads if product.per_slot else self.nodes

    def within(self, other: "Span", products: Sequence[Product]) -> list[slice]:
        """The rows of every product, counted from the first of another span."""
        return [shift(self.rows(one), other.rows(one).start) for one in products]


class Group(Span):
    """A step, and where it is within its chunk and its level."""

    def __init__(self, step: Step, chunk: Span, level: Span, products: Sequence[Product]):
        super().__init__([step])
        self.slots = step.slots
        self.of_chunk = shift(self.nodes, chunk.nodes.start)
        self.of_level = shift(self.reads, level.reads.start)
        self.y_of_chunk = self.within(chunk, products)
        self.x_of_level = self.within(level, products)


class Level(Span):
    """The steps of a level, and where it is within its chunk."""

    def __init__(self, steps: Sequence[Step], chunk: Span, products: Sequence[Product]):
        super().__init__(steps)
        self.groups = [Group(step, chunk, self, products) for step in steps]
        self.of_chunk = self.within(chunk, products)


class Chunk(Span):
    """Levels, with their y and their x, as far as it is computed, while these are stored.

    Arguments:
        steps: all steps of the part.
        bounds: the first of these of every level of the part, and their number.
        levels: the levels of the chunk.
        products: those of the program.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        bounds: Sequence[int],
        levels: slice,
        products: Sequence[Product],
    ):
        super().__init__(steps[bounds[levels.start] : bounds[levels.stop]])
        self.steps, self.bounds, self.of_part, self.products = steps, bounds, levels, products
        self.forget()

    @cached_property
    def levels(self) -> list[Level]:
        ends = self.bounds[self.of_part.start : self.of_part.stop + 1]
        return [
            Level(self.steps[first:last], self, self.products) for first, last in pairwise(ends)
        ]

    def forget(self) -> None:
        self.xs: dict[int, Tensor] = {}
        self.ys: list[Tensor] = []


class Table:
    """Steps as numbers.

    Arguments:
        steps: (number, 4): start, stop, slots and offset of each.
        bounds: the first step of every level, and the number of steps.
        firsts: the same as a list.
    """

    def __init__(self, steps: Sequence[Step], levels: Sequence[int]):
        self.steps = np.array(steps, dtype=np.int64).reshape(-1, 4)
        level = np.searchsorted(levels, self.steps[:, 0], side="right")
        first = np.flatnonzero(np.diff(level, prepend=-1))
        self.bounds = np.append(first, len(steps))
        self.firsts: list[int] = self.bounds.tolist()

    @cached_property
    def most(self) -> dict[str, int]:
        """The largest numbers of nodes, slots and reads that a level has."""
        start, stop, slots, offset = self.steps.T
        first, last = self.bounds[:-1], self.bounds[1:] - 1
        reads = offset[last] + (stop[last] - start[last]) * slots[last] - offset[first]
        return {
            "nodes": int((stop[last] - start[first]).max()),
            "slots": int(slots.max()),
            "reads": int(reads.max()),
        }

    @cached_property
    def chunks(self) -> list[slice]:
        """Whole levels, of at least CHUNK nodes together."""
        return list(self._cut())

    def _cut(self) -> Iterator[slice]:
        ends = self.steps[self.bounds[1:] - 1, 1]
        first, start = 0, int(self.steps[0, 0])
        while first < len(ends):
            last = min(int(np.searchsorted(ends, start + CHUNK)), len(ends) - 1)
            yield slice(first, last + 1)
            first, start = last + 1, int(ends[last])


def table_of(plan: Plan, steps: Sequence[Step]) -> Table:
    """The table of some of a plan's steps, which is made once."""
    found = _tables.setdefault(plan, {})
    place = steps[0].start, len(steps)
    if place not in found:
        found[place] = Table(steps, plan.levels)
    return found[place]


_tables: "WeakKeyDictionary[Plan, dict[tuple[int, int], Table]]" = WeakKeyDictionary()


def shift(places: slice, by: int) -> slice:
    return slice(places.start - by, places.stop - by)
