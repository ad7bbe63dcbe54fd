"""Texts as parallel streams, read window after window with the states carried on.

N: predictions in a text, of every token but the first; B: streams; T: steps of a window.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

import structnet as sn

Ints = NDArray[np.int64]
# Merity et al. (2018), section 5: the share of windows of half the length, the standard deviation
# of a length, and the shortest.
HALVED, DEVIATION, SHORTEST = 0.05, 5.0, 5


class Windows(Sequence[sn.Sample]):
    """A text in windows of `window` steps, as samples; after every token the next is predicted.

    Arguments:
        ids: the text's tokens.
        window: the steps of a window; the last may have fewer.
        streams: the most streams that the text is read in, None for any number.
    """

    def __init__(self, ids: Ints, window: int, streams: int | None = None):
        self.ids, self.window, self.streams = ids, window, streams

    def __len__(self) -> int:
        return -(-(len(self.ids) - 1) // self.window)

    def __getitem__(self, index: Any) -> sn.Sample:
        start = range(len(self))[index] * self.window
        x = self.ids[: len(self.ids) - 1][start : start + self.window]
        y = self.ids[start + 1 : start + 1 + len(x)]
        return sn.Sample(len(x), sn.Tokens(x, np.arange(len(x) + 1)), y)


class Sliding(Sequence[sn.Sample]):
    """Every token of a text but the first as a sample: to be predicted from the `window` before it.

    Before the text's start are steps without a token, whose input is 0.
    """

    def __init__(self, ids: Ints, window: int):
        self.ids, self.window = ids, window

    def __len__(self) -> int:
        return len(self.ids) - 1

    def __getitem__(self, index: Any) -> sn.Sample:
        place = range(len(self))[index] + 1
        x = self.ids[max(0, place - self.window) : place]
        ptr = np.maximum(np.arange(self.window + 1) - (self.window - len(x)), 0)
        return sn.Sample(self.window, sn.Tokens(x, ptr), self.ids[place])


class Streams(Sampler[list[int]]):
    """The windows of an epoch, each [first step, step after the last, lane] of a lane's streams.

    Every lane has streams of its own, and each window is there for one lane after the other.
    Determined by seed and epoch, so that training goes on in the middle of an epoch.

    Arguments:
        steps: the steps of a stream.
        window: the steps of a window; the last is shorter where they don't divide the stream.
        jitter: windows differ in length as in Merity et al. (2018), section 5: about `window`
            steps, or half of that for one in twenty, normally distributed; so that the tokens at
            the ends of windows are others in every epoch. Unlike there, the learning rate does not
            follow the length.
        seed: the seed of the lengths.
        lanes: the number of lanes.
    """

    # A lane's batches follow each other.
    follows = True

    def __init__(
        self, steps: int, window: int, *, jitter: bool = False, seed: int = 0, lanes: int = 1
    ):
        self.steps, self.window, self.jitter, self.seed = steps, window, jitter, seed
        self.lanes = lanes
        self.epoch, self.taken = 0, slice(None)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def take(self, first: int | None, stop: int | None) -> None:
        """Iterate only over those from `first` up to `stop` of an epoch."""
        self.taken = slice(first, stop)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self._windows()[self.taken])

    def __len__(self) -> int:
        return len(self._windows()[self.taken])

    def _windows(self) -> list[list[int]]:
        if not self.jitter:
            starts = [*range(0, self.steps, self.window)]
        else:
            random = np.random.default_rng([self.seed, self.epoch])
            starts = [0]
            while (left := self.steps - starts[-1]) > 0:
                starts.append(starts[-1] + min(left, self._length(random)))
            starts.pop()
        bounds = zip(starts, [*starts[1:], self.steps], strict=True)
        return [[*pair, lane] for pair in bounds for lane in range(self.lanes)]

    def _length(self, random: np.random.Generator) -> int:
        mean = self.window / 2 if random.random() < HALVED else self.window
        return max(min(SHORTEST, self.window), round(random.normal(mean, DEVIATION)))


@dataclass(frozen=True)
class StreamBatches(Dataset):
    """A text's windows, batch by batch.

    Of all lanes' streams, S, stream s begins at the prediction N * s // S, and all have the same
    number of steps: where one runs into the next, what both predict is counted for the next alone.

    Arguments:
        ids: the text's tokens.
        streams: the number of streams of a lane.
        topology: plans the windows.
        lanes: the number of lanes.
    """

    ids: Ints
    streams: int
    topology: sn.Topology
    lanes: int = 1

    @property
    def starts(self) -> Ints:
        """Where every stream of all lanes begins, and the text's end (S + 1,)."""
        count = self.streams * self.lanes
        return (len(self.ids) - 1) * np.arange(count + 1) // count

    @property
    def steps(self) -> int:
        return int(np.diff(self.starts).max())

    def __len__(self) -> int:
        return self.steps

    def __getitems__(self, window: Sequence[int]) -> sn.Batch:
        first, stop, lane = window
        starts = self.starts[lane * self.streams :][: self.streams + 1]
        place = starts[:-1, None] + np.arange(first, stop)
        # A stream that is one step shorter ends with a step that is not counted.
        inside = place < starts[1:, None]
        place = np.minimum(place, len(self.ids) - 2)
        y = np.where(inside, self.ids[place + 1], sn.IGNORE)
        length = stop - first
        nodes = torch.arange(self.streams * length + 1)
        batch = sn.Batch(
            x=sn.Tokens(torch.from_numpy(self.ids[place].ravel()), nodes),
            plans=self.topology.plan([length] * self.streams),
            ptr=nodes[::length],
            y=torch.from_numpy(y.ravel()),
            kind=torch.zeros(self.streams, dtype=torch.long),
            follows=first > 0,
        )
        return batch if get_worker_info() is None else batch.in_one_piece()


def stream_loader(
    windows: Windows,
    topology: sn.Topology,
    streams: int,
    *,
    jitter: bool = False,
    seed: int = 0,
    num_workers: int = 0,
    lanes: int = 1,
) -> DataLoader:
    """A DataLoader of a text's windows, `streams` side by side or as many as the text allows.

    Of several lanes, each has as many. ValueError for a text of fewer predictions than lanes.
    Where the text is read in fewer streams than that, windows are longer, of as many steps in all.
    """
    most = (len(windows.ids) - 1) // lanes
    if most < 1:
        raise ValueError(
            f"a text of {len(windows.ids)} tokens has no stream for each of {lanes} lanes: set "
            "trainer.lanes to less"
        )
    given = min(streams, most if windows.streams is None else windows.streams)
    data = StreamBatches(windows.ids, given, topology, lanes)
    window = windows.window * max(1, streams // given)
    batches = Streams(data.steps, window, jitter=jitter, seed=seed, lanes=lanes)
    return sn.batch_loader(data, batches, num_workers=num_workers)
