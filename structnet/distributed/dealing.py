"""The batches of an epoch, dealt to the lanes of its steps and the processes that compute them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from torch.utils.data import DataLoader, Dataset, Sampler

from structnet.data.batch import Batch
from structnet.data.loader import batch_loader
from structnet.distributed.tree_sum import share_of
from structnet.distributed.world import World

# What a process computes in a step: the batch of each of its lanes, None for a lane without.
Dealt = list[Batch | None]


class Steps(Sampler[list[Any]]):
    """The batches of every step that a process computes: lane k of step s has number s * L + k.

    Arguments:
        batches: all batches of an epoch, with what `Batches` has.
        lanes: the number of batches in a step, L; the last step of an epoch may have fewer.
        mine: the lanes of this process.
    """

    def __init__(self, batches: Any, lanes: int, mine: range):
        self.batches, self.lanes, self.mine = batches, lanes, mine

    def set_epoch(self, epoch: int) -> None:
        self.batches.set_epoch(epoch)

    def begin(self, step: int) -> None:
        """Iterate only over the steps from `step` on."""
        self.batches.take(step * self.lanes, self.batches.taken.stop)

    def __iter__(self) -> Iterator[list[Any]]:
        left = iter(self.batches)
        while step := list(islice(left, self.lanes)):
            padded = [*step, *[None] * (self.lanes - len(step))]
            yield padded[self.mine.start : self.mine.stop]

    def __len__(self) -> int:
        return -(-len(self.batches) // self.lanes)


@dataclass(frozen=True)
class StepData(Dataset):
    """Makes the batches of a step as a loader makes each of them.

    Arguments:
        data: the loader's dataset.
        collate: its `collate_fn`.
        apart: whether batches must not follow each other, as they are not computed in order.
    """

    data: Any
    collate: Callable[[Any], Batch]
    apart: bool

    def __getitems__(self, keys: Sequence[Any]) -> Dealt:
        return [None if key is None else self._batch(key) for key in keys]

    def _batch(self, key: Any) -> Batch:
        whole = hasattr(self.data, "__getitems__")
        made = self.data.__getitems__(key) if whole else [self.data[index] for index in key]
        batch = self.collate(made)
        if self.apart and batch.follows is not None:
            raise ValueError(
                "the task's batches follow each other, and its loader deals them to one lane: take "
                "one process and trainer.lanes=1, or make `Task.loader` heed `lanes` and set "
                "`follows` of its batch_sampler"
            )
        return batch


def deal(loader: DataLoader, lanes: int, world: World) -> DataLoader:
    """A loader of what this process computes in every step.

    Arguments:
        loader: of single batches, as `Task.loader` makes it.
        lanes: the number of batches in a step, of all processes.
        world: the processes.
    """
    steps = Steps(loader.batch_sampler, lanes, share_of(lanes, world.rank, world.size))
    return batch_loader(
        StepData(loader.dataset, loader.collate_fn, lanes > 1 and not _follow(loader)),
        steps,
        num_workers=loader.num_workers,
        pin_memory=loader.pin_memory,
    )


def deal_evaluation(loader: DataLoader, world: World) -> DataLoader:
    """The same for evaluation: every process has one lane, or all have all in the same order.

    Batches that follow each other can't be shared: each process computes all of them.
    """
    return deal(loader, 1, World()) if _follow(loader) else deal(loader, world.size, world)


def _follow(loader: DataLoader) -> bool:
    """Whether the batches of a loader follow each other, lane by lane."""
    return getattr(loader.batch_sampler, "follows", False)
