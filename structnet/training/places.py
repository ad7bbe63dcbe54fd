"""Where a net is wrong: a sample, or a node among those around it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from structnet.data.batch import Batch, Located, Sample
from structnet.run.run import Run

# The nodes before and after one that are shown with it.
AROUND = 3


@dataclass(frozen=True)
class Place:
    """A sample of a split, or one of its nodes.

    Arguments:
        sample: the number of the sample in its split.
        origin: where it comes from; None if it does not say.
        text: of the sample; the names of its nodes where it has no origin, None without names.
        node: the index of the node; None for the whole sample.
        around: names of nodes before it, its own, and those after it, if nodes have names. There
            are none before and after where the nodes are not in the order of the text.
    """

    sample: int
    origin: Located | None
    text: str | None
    node: int | None
    around: tuple[Sequence[str], str, Sequence[str]] | None

    def as_dict(self) -> dict[str, Any]:
        place: dict[str, Any] = {"sample": self.sample}
        if self.origin is not None:
            place |= {"file": str(self.origin.path), "line": self.origin.line}
        if self.text is not None:
            place["text"] = self.text
        if self.node is not None:
            place |= {"node": self.node, "name": self.around and self.around[1]}
        return place


def row_in(run: Run, batch: Batch, rows: int, row: int) -> tuple[int, int | None]:
    """The sample in its batch, and its node or None, of one of the `rows` that a net gave."""
    if rows != batch.num_nodes or not run.task.predicts_nodes(run.topology):
        return row * run.task.group, None
    sample = int(torch.searchsorted(batch.ptr, row, right=True)) - 1
    return sample, row - int(batch.ptr[sample])


def place_of(run: Run, sample: Sample, number: int, node: int | None) -> dict[str, Any]:
    """The arguments of a `Place`: of a sample, by its number in its split, or of its node."""
    is_read = node is not None or sample.origin is None
    around, words = None, run.task.node_names(sample) if is_read else None
    joined = None if words is None else " ".join(words)
    text = joined if sample.origin is None else sample.origin.text
    if node is not None and words is not None:
        # The nodes of a tree may be phrases, each part of the next.
        is_in_order = run.topology.takes == "sequence" or joined == text
        reach = AROUND if is_in_order else 0
        before, after = words[max(0, node - reach) : node], words[node + 1 : node + 1 + reach]
        around = before, words[node], after
    return {"sample": number, "origin": sample.origin, "text": text, "node": node, "around": around}
