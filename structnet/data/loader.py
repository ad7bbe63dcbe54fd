"""Loaders that batch samples by their numbers of nodes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from structnet.data.batch import Batch, Sample, collate
from structnet.data.cost import Costs, levels_of
from structnet.system.signals import ignore
from structnet.topology.base import Topology
from structnet.topology.levels import stable_order


class Batches(Sampler[list[int]]):
    """Batches of samples of similar sizes, as lists of indices, determined by seed and epoch.

    Arguments:
        sizes: the samples' numbers of nodes, with those of their parts.
        batch_nodes: the most nodes in a batch; a larger sample is a batch of its own.
        batch_size: the number of samples in a batch, in place of `batch_nodes`.
        group: the number of consecutive samples that stay together, in the order given.
        pool: samples are sorted by size within pools of about this many batches; 1 mixes all sizes.
        shuffle: a new order in every epoch; else batches go from small to large samples.
        seed: the seed of the order.
        lanes: the number of batches in a step of training. With `shuffle`, the batches of a step,
            which follow each other, are alike in cost.
        levels: the samples' numbers of levels, which are part of their cost; by default 0.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        batch_nodes: int,
        batch_size: int | None = None,
        *,
        group: int = 1,
        pool: int = 50,
        shuffle: bool = False,
        seed: int = 0,
        lanes: int = 1,
        levels: ArrayLike | None = None,
    ):
        counts = {"batch_nodes": batch_nodes, "batch_size": batch_size, "pool": pool}
        counts["lanes"] = lanes
        for name, value in counts.items():
            if value is not None and value < 1:
                raise ValueError(f"{name} is at least 1, got {value}")
        self.sizes = np.asarray(sizes, np.int64).reshape(-1, group).sum(1)
        given = np.zeros(len(sizes), np.int64) if levels is None else np.asarray(levels, np.int64)
        deepest = given.reshape(-1, group).max(1, initial=0)
        self.costs = Costs(self.sizes, deepest, batch_nodes, batch_size)
        self.lanes = lanes
        self.group, self.pool = group, pool
        self.batch_nodes, self.batch_size = batch_nodes, batch_size
        self.shuffle, self.seed, self.epoch = shuffle, seed, 0
        self.taken = slice(None)
        self._cached: tuple[int, list[list[int]]] | None = None

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def take(self, first: int | None, stop: int | None) -> None:
        """Iterate only over the batches from `first` up to `stop` of an epoch."""
        self.taken = slice(first, stop)

    def __iter__(self) -> Iterator["Indices"]:
        numbered = list(enumerate(self._batches()))[self.taken]
        return (Indices(batch, [self.seed, self._epoch, number]) for number, batch in numbered)

    def __len__(self) -> int:
        return len(self._batches()[self.taken])

    def _batches(self) -> list[list[int]]:
        epoch = self._epoch
        if self._cached is None or self._cached[0] != epoch:
            batches = self._compose(epoch)
            members = range(self.group)
            self._cached = (
                epoch,
                [[self.group * unit + i for unit in batch for i in members] for batch in batches],
            )
        return self._cached[1]

    @property
    def _epoch(self) -> int:
        return self.epoch if self.shuffle else 0

    def _compose(self, epoch: int) -> list[list[int]]:
        if not self.shuffle:
            return self._cut(stable_order(self.sizes))
        random = np.random.default_rng([self.seed, epoch])
        order = random.permutation(len(self.sizes))
        batches = []
        for pool in self._pools(order):
            batches += self._cut(pool[stable_order(self.sizes[pool])])
        if self.lanes > 1:
            return self._dealt(batches, random)
        return [batches[i] for i in random.permutation(len(batches))]

    def _dealt(self, batches: list[list[int]], random: np.random.Generator) -> list[list[int]]:
        """Batches in steps of like cost; if one step has fewer, it is the last, of the smallest."""
        order = stable_order(np.array([self.costs.of(batch) for batch in batches], np.int64))
        first, *steps = np.split(order, np.arange(len(order) % self.lanes, len(order), self.lanes))
        dealt = [self.costs.evened([batches[i] for i in step]) for step in steps]
        mixed = [dealt[i] for i in random.permutation(len(dealt))]
        lanes = [step[i] for step in mixed for i in random.permutation(self.lanes)]
        return [*lanes, *(batches[i] for i in first)]

    def excess(self) -> float:
        """By what share of the mean the batch that costs most exceeds a step's others, on average.

        Of the full steps of the epoch; 0 where there are none.
        """
        units = [[i // self.group for i in some[:: self.group]] for some in self._batches()]
        costs = np.array([self.costs.of(batch) for batch in units], float)
        steps = costs[: len(costs) // self.lanes * self.lanes].reshape(-1, self.lanes)
        return float(steps.max(1).sum() / steps.mean(1).sum() - 1) if len(steps) else 0.0

    def _pools(self, order: NDArray[np.integer]) -> list[NDArray[np.integer]]:
        """Parts of an order, of about `pool` batches each."""
        # Bounded, as the product may be more than an array's integers hold.
        if self.batch_size is not None:
            stretch = min(self.batch_size * self.pool, len(order) + 1)
            return np.split(order, np.arange(stretch, len(order), stretch))
        nodes = np.cumsum(self.sizes[order])
        filled = nodes // min(self.batch_nodes * self.pool, int(self.sizes.sum()) + 1)
        return np.split(order, np.flatnonzero(np.diff(filled)) + 1)

    def _cut(self, order: NDArray[np.integer]) -> list[list[int]]:
        batches: list[list[int]] = []
        nodes = 0
        for sample, size in zip(order.tolist(), self.sizes[order].tolist(), strict=True):
            if self.batch_size is not None:
                full = not batches or len(batches[-1]) == self.batch_size
            else:
                full = not batches or nodes + size > self.batch_nodes
            if full:
                batches.append([])
                nodes = 0
            batches[-1].append(sample)
            nodes += size
        return batches


class Indices(list[int]):
    """The indices of a batch's samples, with the key that its random numbers are derived from."""

    def __init__(self, indices: Sequence[int], key: Sequence[int]):
        super().__init__(indices)
        self.key = list(key)

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Seed torch's generator by the key, and restore it afterwards.

        So a batch is the same in whichever process and after whatever others it is made.
        """
        before = torch.get_rng_state()
        (seed,) = np.random.SeedSequence(self.key).generate_state(1, np.uint64)
        torch.default_generator.manual_seed(int(seed))
        try:
            yield
        finally:
            torch.set_rng_state(before)


@dataclass(frozen=True)
class Batched(Dataset):
    """A dataset that is read batch by batch: samples are collated and planned at once."""

    samples: Sequence[Sample]
    topology: Topology

    def __len__(self) -> int:
        return len(self.samples)

    def __getitems__(self, indices: Indices) -> Batch:
        with indices.drawing():
            return collate([self.samples[index] for index in indices], self.topology)


def _as_it_is(batch: Any) -> Any:
    return batch


def loader(
    samples: Sequence[Sample],
    topology: Topology,
    *,
    batch_nodes: int = 2048,
    batch_size: int | None = None,
    group: int = 1,
    pool: int = 50,
    shuffle: bool = False,
    seed: int = 0,
    num_workers: int = 0,
    pin_memory: bool = False,
    lanes: int = 1,
    min_batches: int = 1,
) -> DataLoader:
    """A DataLoader of `Batch`es, which its workers collate and plan.

    Random numbers in a batch are determined by the seed, the epoch and the number of the batch.
    With `shuffle`, call `loader.batch_sampler.set_epoch(epoch)` before each epoch.

    Arguments:
        samples: the samples.
        topology: the topology that plans them.
        batch_nodes, batch_size, group, pool, shuffle, seed: as in `Batches`.
        num_workers, pin_memory: as in torch's DataLoader.
        lanes: as in `Batches`, the number of batches that make a step of training.
        min_batches: with `shuffle` and without `batch_size`, an epoch has about this number of
            batches or more, as a batch has at most this part of all nodes: 32 for a 32nd.
    """
    if min_batches < 1:
        raise ValueError(f"min_batches is at least 1, got {min_batches}")
    sizes = [sample.total_nodes for sample in samples]
    if shuffle:
        batch_nodes = min(batch_nodes, max(1, sum(sizes) // min_batches))
    batches = Batches(
        sizes,
        batch_nodes,
        batch_size,
        group=group,
        pool=pool,
        shuffle=shuffle,
        seed=seed,
        lanes=lanes,
        levels=levels_of(samples, topology) if shuffle and lanes > 1 else None,
    )
    data = Batched(samples, topology)
    return batch_loader(data, batches, num_workers=num_workers, pin_memory=pin_memory)


def batch_loader(
    data: Dataset, batches: Sampler, *, num_workers: int = 0, pin_memory: bool = False
) -> DataLoader:
    """A DataLoader of whole batches: `data.__getitems__(indices)` makes one of each of `batches`.

    For a `Task.loader` that makes its own.

    Arguments:
        data: makes batches.
        batches: has what `Batches` has: `set_epoch`, `take`, `taken`, a length.
        num_workers, pin_memory: as in torch's DataLoader.
    """
    return DataLoader(
        data,
        batch_sampler=batches,
        collate_fn=_as_it_is,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        pin_memory=pin_memory,
        worker_init_fn=ignore,
    )
