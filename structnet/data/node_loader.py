"""Batches of nodes of one large graph, with the ancestors that their states depend on.

N, E: nodes and edges of the whole graph; n: nodes of a closure; T: its targets.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from structnet import DataWarning
from structnet.data.ancestors import Closure, Incoming, checked_depth, checked_nodes
from structnet.data.batch import Batch, Sample, Tokens, collate
from structnet.data.cross_entropy import IGNORE
from structnet.data.mixed import Mixed
from structnet.system.signals import ignore
from structnet.topology.base import Edges, Topology
from structnet.topology.levels import Ints, ptr_of, ranges


@dataclass(frozen=True, eq=False, kw_only=True)
class NodeBatch(Batch):
    """A batch of target nodes and their ancestors, as one sample of n nodes.

    `y` (n,) is IGNORE, or NaN for floats, except at the targets.

    Arguments:
        nodes: the batch's nodes in the whole graph (n,).
        targets: the indices of the targets in the batch (T,).
        cut_edges, cut_nodes: what a limit of depth cut off, as in `Closure`.
    """

    nodes: Tensor
    targets: Tensor
    cut_edges: int
    cut_nodes: int


class NodeLoader:
    """Batches of target nodes with their ancestors; see `node_loader`."""

    def __init__(
        self,
        edges: Edges,
        x: Any,
        y: NDArray[Any],
        topology: Topology,
        edge_x: NDArray[Any] | None,
        nodes: Ints,
        depth: int | None,
        batch_size: int,
        shuffle: bool,
        seed: int,
        workers: dict[str, Any],
    ):
        self.x, self.y, self.topology = x, y, topology
        self.edge_x = edge_x
        self.nodes, self.depth, self.batch_size = nodes, depth, batch_size
        self.shuffle, self.seed, self.epoch, self.workers = shuffle, seed, 0, workers
        self.graph = Incoming(edges.index, edges.num_nodes)
        tables = topology.predecessors(edges)
        tables = tables if len(topology.directions) > 1 else (tables,)
        read = np.concatenate([np.asarray(table.index) for table in tables], axis=1)
        self.reads = Incoming(read, edges.num_nodes)
        self.has_warned = depth is None

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.nodes) // self.batch_size)

    def __iter__(self) -> Iterator[NodeBatch]:
        order = self.nodes
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(order)
        some = np.split(order, np.arange(self.batch_size, len(order), self.batch_size))
        edges = nodes = 0
        for batch in DataLoader(
            some,  # pyright: ignore[reportArgumentType]
            batch_size=None,
            collate_fn=self.batch,  # pyright: ignore[reportArgumentType]
            **self.workers,
        ):
            edges, nodes = edges + batch.cut_edges, nodes + batch.cut_nodes
            yield batch
        self._warn(edges, nodes)

    def batch(self, targets: Ints) -> NodeBatch:
        """The batch of given target nodes."""
        found = self.graph.closure(self.reads, np.asarray(targets), self.depth)
        edge_x = None if self.edge_x is None else self.edge_x[found.kept]
        x, y = _part(self.x, found.nodes), self._targets(found)
        sample = Sample(found.edges, x, y, edge_x=edge_x)
        batch = collate([sample], self.topology)
        return NodeBatch(
            **{one.name: getattr(batch, one.name) for one in fields(batch)},
            nodes=torch.from_numpy(found.nodes),
            targets=torch.from_numpy(found.targets),
            cut_edges=found.cut_edges,
            cut_nodes=found.cut_nodes,
        )

    def _targets(self, found: Closure) -> NDArray[Any]:
        others = np.ones(len(found.nodes), bool)
        others[found.targets] = False
        y = self.y[found.nodes]
        y[others] = np.nan if np.issubdtype(y.dtype, np.floating) else IGNORE
        return y

    def _warn(self, edges: int, nodes: int) -> None:
        if edges and not self.has_warned:
            warnings.warn(
                f"depth={self.depth} cut {edges:,} edges, from {nodes:,} nodes, off the "
                f"{len(self)} batches of {len(self.nodes):,} nodes; use a larger depth, or None "
                "for all ancestors",
                DataWarning,
                stacklevel=3,
            )
        self.has_warned = True


def node_loader(
    edges: Edges,
    x: Any,
    y: ArrayLike,
    topology: Topology,
    *,
    edge_x: ArrayLike | None = None,
    nodes: ArrayLike | None = None,
    depth: int | None = None,
    batch_size: int = 1024,
    shuffle: bool = False,
    seed: int = 0,
    num_workers: int = 0,
    pin_memory: bool = False,
) -> NodeLoader:
    """A loader of batches (`NodeBatch`): target nodes of one graph, with their ancestors.

    Ancestors are followed in the directions of the topology: against the edges, along them, or
    both. Without a limit of depth, targets have the states that they have in the whole graph, in a
    stack of any number of layers; with one, each batch has the numbers of edges and nodes that were
    cut, and the first pass ends with a DataWarning of their sums. With `shuffle`, call
    `set_epoch(epoch)` before each epoch. ValueError for a topology that does not take graphs, for
    lengths that differ and for options out of range.

    Arguments:
        edges: the graph, of N nodes and E edges.
        x: the input of all nodes, (N, D) or `Tokens`.
        y: the targets of all nodes, (N, ...).
        topology: the topology that plans the batches.
        edge_x: the features of all edges (E, D).
        nodes: the target nodes (T,); by default all.
        depth: the longest path, in edges, from an ancestor to a target; None for no limit.
        batch_size: the number of targets in a batch.
        shuffle: a new order in every epoch.
        seed: the seed of the order.
        num_workers, pin_memory: as in torch's DataLoader.
    """
    if topology.takes != "graph":
        raise ValueError(
            f"nodes are loaded with their ancestors in a graph, {type(topology).__name__} takes "
            f"{topology.takes!r}; take topology 'graph'"
        )
    if batch_size < 1:
        raise ValueError(f"batch_size is at least 1, got {batch_size}")
    edges, features = Edges.of(edges), None if edge_x is None else np.asarray(edge_x)
    y, count = _signed(np.asarray(y)), np.shape(edges.index)[1]
    _check_rows("x", len(x), edges.num_nodes, "nodes")
    _check_rows("y", len(y), edges.num_nodes, "nodes")
    _check_rows("edge_x", count if features is None else len(features), count, "edges")
    given = np.arange(edges.num_nodes) if nodes is None else nodes
    return NodeLoader(
        edges,
        x,
        y,
        topology,
        features,
        checked_nodes(given, edges.num_nodes),
        checked_depth(depth),
        batch_size,
        shuffle,
        seed,
        {"num_workers": num_workers, "pin_memory": pin_memory, "worker_init_fn": ignore},
    )


def _check_rows(name: str, rows: int, wanted: int, of: str) -> None:
    if rows != wanted:
        raise ValueError(f"{name} has {rows} rows for {wanted} {of}")


def _signed(y: NDArray[Any]) -> NDArray[Any]:
    """Targets of a dtype that can hold IGNORE, as booleans and unsigned integers can't."""
    return y.astype(np.int64) if y.dtype.kind in "bu" else y


def _part(x: Any, nodes: Ints) -> Any:
    if isinstance(x, Mixed):
        return Mixed(_part(x.tokens, nodes), _part(x.numbers, nodes))
    if not isinstance(x, Tokens):
        return np.asarray(x)[nodes]
    count = np.diff(x.ptr)[nodes]
    ptr = ptr_of(count)
    tokens = ranges(x.ptr[nodes], count)
    spelling = None if x.spelling is None else _part(x.spelling, tokens)
    return Tokens(x.ids[tokens], ptr, spelling)
