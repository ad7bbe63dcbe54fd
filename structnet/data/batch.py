"""Samples and batches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from structnet.data.mixed import Mixed
from structnet.topology.base import Edges, Topology
from structnet.topology.levels import ptr_of
from structnet.topology.plan import Plan

Move = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Tokens:
    """A bag of tokens for every node: node v has the tokens `ids[ptr[v]:ptr[v + 1]]`.

    Arguments:
        ids: the ids of all nodes' tokens.
        ptr: (n + 1,).
        spelling: how each of `ids` is written, for nets that read characters: the bytes of its text
            in UTF-8, between BEGIN and END of structnet.data.vocabulary; None where not given.
    """

    ids: Any
    ptr: Any
    spelling: "Tokens | None" = None

    def __len__(self) -> int:
        return len(self.ptr) - 1

    def map(self, move: Move) -> "Tokens":
        spelling = None if self.spelling is None else self.spelling.map(move)
        return Tokens(move(self.ids), move(self.ptr), spelling)


@dataclass(frozen=True)
class Origin:
    """The origin of a sample: its file, the number of its line, from 1 on, and the line's text."""

    path: Any
    line: int
    text: str


class Located(Protocol):
    """An object with the attributes of an `Origin`."""

    @property
    def path(self) -> Any: ...
    @property
    def line(self) -> int: ...
    @property
    def text(self) -> str: ...


@dataclass(frozen=True, eq=False)
class Sample:
    """One structure with its input and target, on the CPU.

    Arguments:
        structure: what the topology takes, with n nodes.
        x: the input: an array (n, D), the `Tokens` of n nodes, or `Mixed`, both.
        y: the target of the sample, a scalar, or those of its nodes, an array (n,).
        kind: an index into the task's `kinds`.
        origin: where the sample comes from: an `Origin`, or an object with its attributes.
        condition: a further input of the net, a number or an array of the same shape for all
            samples.
        edge_x: features of the structure's edges, an array (E, D) in their order.
        parts: further structures with input and target of their own, as many in every sample.
        topology: of a part: what plans it, the same one in every sample; the batch's where None.
    """

    structure: Any
    x: Any
    y: Any
    kind: int = 0
    origin: Located | None = None
    condition: Any = None
    edge_x: Any = None
    parts: Sequence["Sample"] = ()
    topology: Topology | None = None

    @property
    def num_nodes(self) -> int:
        return len(self.x)

    @property
    def total_nodes(self) -> int:
        """The number of nodes, with those of its parts."""
        return self.num_nodes + sum(part.total_nodes for part in self.parts)


@dataclass(frozen=True, eq=False)
class Batch:
    """A batch of B samples, with their N nodes concatenated.

    Arguments:
        x: the input (N, D), `Tokens` or `Mixed`.
        plans: one plan per direction of the topology.
        ptr: (B + 1,); sample b owns the nodes `ptr[b]:ptr[b + 1]`.
        y: the targets, (B,) or (N,).
        kind: the samples' kinds (B,).
        condition: (B, ...), or None.
        shapes: the structures if they are sizes, as those of grids; else ().
        edge_x: the features of all samples' edges (E, D), or None.
        follows: None where samples stand alone. For windows of texts, whether every sample goes on
            where the same sample of the batch before ended: False for a text's first window.
        parts: a batch for each of the samples' further structures.
    """

    x: Any
    plans: tuple[Plan, ...]
    ptr: Tensor
    y: Tensor
    kind: Tensor
    condition: Tensor | None = None
    shapes: tuple[tuple[int, ...], ...] = ()
    edge_x: Tensor | None = None
    follows: bool | None = None
    parts: tuple["Batch", ...] = ()

    @property
    def num_nodes(self) -> int:
        return self.plans[0].num_nodes

    @property
    def total_nodes(self) -> int:
        """The number of nodes, with those of its parts."""
        return self.num_nodes + sum(part.total_nodes for part in self.parts)

    @property
    def num_samples(self) -> int:
        return len(self.ptr) - 1

    def sample_of_node(self) -> Tensor:
        """The sample of every node (N,)."""
        return torch.repeat_interleave(
            torch.arange(self.num_samples, device=self.ptr.device),
            self.ptr.diff(),
            output_size=self.num_nodes,
        )

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Batch":
        return self.map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "Batch":
        return self.map(Tensor.pin_memory)

    def map(self, move: Move) -> "Batch":
        """The batch with a function applied to every tensor, for a plan's tensors all at once."""

        def moved(value: Any) -> Any:
            if isinstance(value, Tensor):
                return move(value)
            if isinstance(value, tuple):
                return tuple(map(moved, value))
            return value.map(move) if isinstance(value, Tokens | Mixed | Plan | Batch) else value

        return replace(self, **{one.name: moved(getattr(self, one.name)) for one in fields(self)})

    def in_one_piece(self) -> "Batch":
        """The batch with all tensors in one storage.

        A worker process hands over each storage on its own, in half a millisecond.
        """
        sizes: list[int] = []

        def measure(tensor: Tensor) -> Tensor:
            # Aligned for every dtype.
            sizes.append(-(-tensor.nbytes // 64) * 64)
            return tensor

        self.map(measure)
        pieces = iter(torch.empty(sum(sizes), dtype=torch.uint8).split(sizes))

        def place(tensor: Tensor) -> Tensor:
            piece = next(pieces)[: tensor.nbytes]
            return piece.view(tensor.dtype).view(tensor.shape).copy_(tensor)

        return self.map(place)


def collate(samples: Sequence[Sample], topology: Topology) -> Batch:
    """Concatenate and plan samples and their parts; ValueError where they do not fit.

    >>> samples = [sn.Sample(n, np.ones((n, 4), np.float32), y=0) for n in (3, 1)]
    >>> batch = sn.collate(samples, sn.topologies.create("chain"))
    >>> batch.x.shape, batch.ptr.tolist()
    (torch.Size([4, 4]), [0, 3, 4])
    """
    batch = _collate(samples, topology)
    return batch if get_worker_info() is None else batch.in_one_piece()


def _collate(samples: Sequence[Sample], topology: Topology) -> Batch:
    plans = topology.plan([sample.structure for sample in samples])
    inputs = [sample.x for sample in samples]
    sizes = np.array([len(x) for x in inputs], np.int64)
    if not np.array_equal(ptr_of(sizes), plans[0].ptr):
        _check_lengths(samples, topology)
    return Batch(
        x=_concatenate(inputs),
        plans=plans,
        ptr=torch.from_numpy(ptr_of(sizes)),
        y=_targets([sample.y for sample in samples]),
        kind=torch.tensor([sample.kind for sample in samples]),
        condition=_conditions(samples),
        shapes=_shapes(samples),
        edge_x=_edge_features(samples, topology),
        parts=_parts(samples, topology),
    )


def _parts(samples: Sequence[Sample], topology: Topology) -> tuple[Batch, ...]:
    counts = {len(sample.parts) for sample in samples}
    if len(counts) > 1:
        raise ValueError(f"the samples of a batch have {sorted(counts)} parts: give all as many")
    every = zip(*(sample.parts for sample in samples), strict=True)
    return tuple(_collate(some, some[0].topology or topology) for some in every)


def _check_lengths(samples: Sequence[Sample], topology: Topology) -> None:
    """ValueError for the first sample whose input has another length than its structure."""
    for index, sample in enumerate(samples):
        nodes = topology.plan([sample.structure])[0].num_nodes
        if nodes != sample.num_nodes:
            where = f" ({sample.origin.path}:{sample.origin.line})" if sample.origin else ""
            raise ValueError(
                f"sample {index} of the batch{where} has input for {sample.num_nodes} nodes, "
                f"its structure has {nodes}"
            )


def _edge_features(samples: Sequence[Sample], topology: Topology) -> Tensor | None:
    given = [sample.edge_x for sample in samples]
    if all(edge_x is None for edge_x in given):
        return None
    for index, sample in enumerate(samples):
        if sample.edge_x is None:
            raise ValueError(f"sample {index} of the batch has no edge_x, but others have")
        edges = _count_edges(sample.structure, topology)
        if edges != len(sample.edge_x):
            raise ValueError(
                f"sample {index} of the batch has edge_x of {len(sample.edge_x)} rows, its "
                f"structure has {edges} edges"
            )
    return torch.from_numpy(np.concatenate(given))


def _count_edges(structure: Any, topology: Topology) -> int:
    if isinstance(structure, Edges):
        return np.shape(structure.index)[1]
    return topology.plan([structure])[0].num_edges


def _conditions(samples: Sequence[Sample]) -> Tensor | None:
    if not samples or samples[0].condition is None:
        return None
    return torch.from_numpy(np.stack([np.asarray(sample.condition) for sample in samples]))


def _shapes(samples: Sequence[Sample]) -> tuple[tuple[int, ...], ...]:
    shapes = [sample.structure for sample in samples]
    return tuple(shapes) if all(type(shape) is tuple for shape in shapes) else ()


def _concatenate(inputs: list[Any]) -> Any:
    if isinstance(inputs[0], Mixed):
        tokens = _concatenate([mixed.tokens for mixed in inputs])
        return Mixed(tokens, _concatenate([mixed.numbers for mixed in inputs]))
    if not isinstance(inputs[0], Tokens):
        return torch.from_numpy(np.concatenate(inputs))
    # All at once, with what is between the bounds of one sample and those of the next.
    bounds = [tokens.ptr for tokens in inputs]
    between = np.cumsum([len(ptr) for ptr in bounds])[:-1] - 1
    counts = np.delete(np.diff(np.concatenate(bounds)), between)
    ids = np.concatenate([tokens.ids for tokens in inputs])
    spelled = [tokens.spelling for tokens in inputs]
    spelling = None if any(one is None for one in spelled) else _concatenate(spelled)
    return Tokens(torch.from_numpy(ids), torch.from_numpy(ptr_of(counts)), spelling)


def _targets(given: list[Any]) -> Tensor:
    """The targets of all samples, one after the other: numbers, or arrays (n,)."""
    if all(type(y) in (int, float) for y in given):
        return torch.from_numpy(np.array(given))
    return torch.from_numpy(np.concatenate([np.atleast_1d(y) for y in given]))
