"""Batches of nodes of one large graph, each with the ancestors that its states come from.

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
from structnet.data.ancestors import Closure, Inward, checked_depth, checked_nodes
from structnet.data.batch import Batch, Sample, Tokens, collate
from structnet.data.task import IGNORE
from structnet.system.signals import ignore
from structnet.topology.base import Edges, Topology
from structnet.topology.levels import Ints, ptr_of, ranges


@dataclass(frozen=True, eq=False, kw_only=True)
class NodeBatch(Batch):
    """A batch that is one closure: `nodes` (n,) of the graph, `targets` (T,) places among them.

    `y` (n,) is IGNORE, or NaN among floats, for all but the targets. `cut_edges` and `cut_nodes`
    are those of the `Closure`.
    """

    nodes: Tensor
    targets: Tensor
    cut_edges: int
    cut_nodes: int


class NodeLoader:
    """Batches of target nodes with what leads to them; see `node_loader`."""

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
        self.graph = Inward(edges.index, edges.num_nodes)
        tables = topology.predecessors(edges)
        tables = tables if len(topology.directions) > 1 else (tables,)
        read = np.concatenate([np.asarray(table.index) for table in tables], axis=1)
        self.reads = Inward(read, edges.num_nodes)
        self.told = depth is None

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
        self._tell(edges, nodes)

    def batch(self, targets: Ints) -> NodeBatch:
        """The batch of some nodes."""
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

    def _tell(self, edges: int, nodes: int) -> None:
        if edges and not self.told:
            warnings.warn(
                f"depth={self.depth} cut {edges:,} edges, from {nodes:,} nodes, off the "
                f"{len(self)} batches of {len(self.nodes):,} nodes; take a larger depth, or None "
                "for all that leads to them",
                DataWarning,
                stacklevel=3,
            )
        self.told = True


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
    """Batches of `batch_size` target nodes of one graph, each with what leads to them.

    `x` (N, D) or `Tokens` and `y` (N, ...) are of all nodes, `edge_x` (E, D) of all edges; `nodes`
    are the targets, all by default.
    A batch is a `NodeBatch` of the targets and of what is read within `depth` steps, in the
    directions of the topology: those that feed a node, those that it feeds, or both. Without a
    limit, targets have the states that they have in the whole graph, in a stack of any number of
    layers. The order is that of (seed, epoch) alone, see `set_epoch`. Batches say what was cut, and
    the first pass ends with a DataWarning of how much it was in all. ValueError for a topology that
    takes no graphs, for lengths that differ and an option out of range.
    """
    if topology.takes != "graph":
        raise ValueError(
            f"nodes are loaded with what leads to them in a graph, {type(topology).__name__} takes "
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
    """Targets of a type that can say IGNORE, which booleans and unsigned integers can't."""
    return y.astype(np.int64) if y.dtype.kind in "bu" else y


def _part(x: Any, nodes: Ints) -> Any:
    if not isinstance(x, Tokens):
        return np.asarray(x)[nodes]
    count = np.diff(x.ptr)[nodes]
    ptr = ptr_of(count)
    return Tokens(x.ids[ranges(x.ptr[nodes], count)], ptr)
