"""Sums of vectors, one of every lane, in an order that does not depend on who has which lanes.

Sums of floats depend on their order. Here it is that of one tree over all lanes: a span of lanes is
split after as many as the largest power of two below its length. A process sums what it can of its
own lanes; the sums of whole subtrees are then sent, and put together in the same order everywhere.
"""

from collections.abc import Iterator, Mapping

from torch import Tensor

from structnet.distributed.world import World

# The lanes from the first up to the one before the last.
Span = tuple[int, int]


def share_of(lanes: int, rank: int, size: int) -> range:
    """The lanes of a process: consecutive ones, as many as the others have or one less."""
    # Rounded up, so that the first process has the first lane.
    return range(-(-lanes * rank // size), -(-lanes * (rank + 1) // size))


def halves(span: Span) -> tuple[Span, Span]:
    """The two spans that a span of at least two lanes is the sum of."""
    first, stop = span
    middle = first + (1 << (stop - first - 1).bit_length() - 1)
    return (first, middle), (middle, stop)


def subtrees(span: Span, lanes: range) -> Iterator[Span]:
    """The largest spans below `span` that have none but some lanes, in order."""
    first, stop = span
    if lanes.start <= first and stop <= lanes.stop:
        yield span
    elif first < lanes.stop and lanes.start < stop:
        for half in halves(span):
            yield from subtrees(half, lanes)


class TreeSum:
    """The sum over all lanes of vectors (n,), whichever process has which of them.

    Arguments:
        lanes: the number of lanes of all processes.
        world: the processes.
    """

    def __init__(self, lanes: int, world: World):
        self.root, self.world = (0, lanes), world
        shares = [share_of(lanes, rank, world.size) for rank in range(world.size)]
        # Of every process, the spans that it sums by itself.
        self.parts = [list(subtrees(self.root, share)) for share in shares]
        self.open: list[tuple[Span, Tensor]] = []

    def add(self, lane: int, vector: Tensor) -> None:
        """Take the vector (n,) of one of this process's lanes, the next one; it may be changed."""
        self.open.append(((lane, lane + 1), vector))
        while len(self.open) > 1 and (whole := self._joined(self.open[-2][0], self.open[-1][0])):
            (_, left), (_, right) = self.open[-2:]
            self.open[-2:] = [(whole, left.add_(right))]

    def total(self, like: Tensor) -> Tensor:
        """The sum of all lanes' vectors (n,), the same bits in every process.

        Arguments:
            like: a vector of the same length, dtype and device, for a process without lanes.
        """
        vectors = [vector for _, vector in self.open]
        self.open = []
        if self.world.size == 1:
            return vectors[0]
        length, size = len(like), self.world.size
        given = like.new_zeros(len(vectors), -(-length // size) * size)
        for row, vector in zip(given, vectors, strict=True):
            row[:length] = vector
        got = self.world.exchange(given, [len(parts) for parts in self.parts])
        spans = [span for parts in self.parts for span in parts]
        return self.world.join_shares(_sum(self.root, dict(zip(spans, got, strict=True))))[:length]

    def _joined(self, left: Span, right: Span) -> Span | None:
        """The span of two that follow each other, if the tree has it; None else."""
        span = self.root
        while span[1] - span[0] > 1:
            halved = halves(span)
            if halved == (left, right):
                return span
            span = halved[0] if left[0] < halved[0][1] else halved[1]
        return None


def _sum(span: Span, vectors: Mapping[Span, Tensor]) -> Tensor:
    if span in vectors:
        return vectors[span]
    left, right = halves(span)
    return _sum(left, vectors) + _sum(right, vectors)
