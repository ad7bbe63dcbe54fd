"""What readouts weigh: the share of every node in what is scored, as predictions show it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from structnet.data.batch import Batch, Sample
from structnet.data.task import Task
from structnet.nn.readout import Readout

# The bounds (B + 1,) of a batch's samples, by which it is known, and its nodes' shares (N, means).
Shares = tuple[Tensor, Tensor]


@contextmanager
def shares(net: nn.Module) -> Iterator[list[Shares]]:
    """A list in which a net's readout leaves the shares of the nodes of whatever it reads.

    It stays empty for a net without a `Readout`, or with one that does not weigh nodes.
    """
    found: list[Shares] = []

    def keep(readout: Any, inputs: tuple[Any, ...]) -> None:
        if (shares := readout.weights(*inputs)) is not None:
            found.append((inputs[1].ptr, shares))

    readouts = (one for one in net.modules() if isinstance(one, Readout))
    handles = [one.register_forward_pre_hook(keep) for one in readouts]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def weighed(
    task: Task, batch: Batch, samples: Sequence[Sample], kept: Sequence[Shares]
) -> list[tuple[tuple[str, float], ...]]:
    """Of every sample the names and shares of its nodes, and then those of its parts."""
    found: list[tuple[tuple[str, float], ...]] = [()] * len(samples)
    shares = next((shares for ptr, shares in reversed(kept) if ptr is batch.ptr), None)
    if shares is not None:
        rows = shares.mean(1).split(batch.ptr.diff().tolist())
        for at, (sample, row) in enumerate(zip(samples, rows, strict=True)):
            if names := task.node_names(sample):
                found[at] = tuple(zip(names, row.tolist(), strict=True))
    for number, part in enumerate(batch.parts):
        of_part = weighed(task, part, [sample.parts[number] for sample in samples], kept)
        found = [own + words for own, words in zip(found, of_part, strict=True)]
    return found
