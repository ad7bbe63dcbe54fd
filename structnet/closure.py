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
from structnet.batch import Batch, Sample, Tokens, collate
from structnet.levels import Ints, ranges, stable_order
from structnet.task import IGNORE
from structnet.topology import Edges, Topology


@dataclass(frozen=True, eq=False)
class Closure:
    """Targets and what leads to them, as a graph of its own.

    `nodes` (n,) are the graph's nodes that are in it, ascending; `edges` are all of the graph's
    edges between them, numbered anew by place in `nodes`, and `kept` their indices in the graph.
    `targets` (T,) are the targets' places, in the order asked for. What a limit of depth left out
    are `cut_edges`, the edges that lead from outside to a node inside, and `cut_nodes`, the nodes
    they come from; what lies behind those is not looked at.
    """

    nodes: Ints
    edges: Edges
    kept: Ints
    targets: Ints
    cut_edges: int
    cut_nodes: int


def ancestors(edges: Edges, nodes: ArrayLike, depth: int | None = None) -> Closure:
    """The nodes asked for and all that leads to them in at most `depth` steps, or in any number.

    With no limit, or one from the longest path on, the states of these nodes are those that they
    have in the whole graph. Takes a pass over all edges; `node_loader` takes it once for all its
    batches. ValueError for a node that is out of range or named twice, and for a depth below 0.
    """
    edges = Edges.of(edges)
    inward = _Inward(edges.index, edges.num_nodes)
    return inward.closure(inward, _checked_nodes(nodes, edges.num_nodes), _checked_depth(depth))


class _Inward:
    """The edges into every node: those of v are at `start[v]`, `count[v]` of them."""

    def __init__(self, index: Ints, num_nodes: int):
        self.edge = stable_order(index[1])
        self.source = index[0][self.edge]
        self.count = np.bincount(index[1], minlength=num_nodes)
        self.start = np.cumsum(self.count) - self.count
        # The place of nodes in a closure while it is made, -1 of all others: cleared behind it, as
        # a new one would cost all nodes.
        self.place = np.full(num_nodes, -1)

    def into(self, nodes: Ints) -> Ints:
        """Where the edges into some nodes are, node by node."""
        return ranges(self.start[nodes], self.count[nodes])

    def closure(self, reads: "_Inward", targets: Ints, depth: int | None) -> Closure:
        """The closure by the edges of `reads`, as a part of this graph."""
        nodes = np.sort(reads.reach(targets, depth))
        place = self.place
        place[nodes] = np.arange(len(nodes))
        at = self.into(nodes)
        source = place[self.source[at]]
        inside = source >= 0
        target = np.repeat(np.arange(len(nodes)), self.count[nodes])
        index = np.stack([source[inside], target[inside]])
        read = reads.source[reads.into(nodes)]
        outside = read[place[read] < 0]
        found = Closure(
            nodes,
            Edges(index, len(nodes)),
            self.edge[at[inside]],
            place[targets],
            len(outside),
            len(np.unique(outside)),
        )
        place[nodes] = -1
        return found

    def reach(self, targets: Ints, depth: int | None) -> Ints:
        """The targets and all that leads to them in so many steps."""
        place, found, frontier = self.place, [targets], targets
        place[targets] = 0
        steps = 0
        while frontier.size and steps != depth:
            source = self.source[self.into(frontier)]
            source = source[place[source] < 0]
            # One that leads to several nodes counts once.
            order = np.arange(len(source))
            place[source] = order
            frontier = source[place[source] == order]
            found.append(frontier)
            steps += 1
        nodes = np.concatenate(found)
        place[nodes] = -1
        return nodes


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
        self.graph = _Inward(edges.index, edges.num_nodes)
        tables = topology.predecessors(edges)
        tables = tables if len(topology.directions) > 1 else (tables,)
        read = np.concatenate([np.asarray(table.index) for table in tables], axis=1)
        self.reads = _Inward(read, edges.num_nodes)
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
            collate_fn=self.batch,
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
        _checked_nodes(given, edges.num_nodes),
        _checked_depth(depth),
        batch_size,
        shuffle,
        seed,
        {"num_workers": num_workers, "pin_memory": pin_memory},
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
    ptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(count)])
    return Tokens(x.ids[ranges(x.ptr[nodes], count)], ptr)


def _checked_nodes(nodes: ArrayLike, num_nodes: int) -> Ints:
    found = np.asarray(nodes).reshape(-1)
    if found.size and found.dtype.kind not in "iu":
        raise ValueError(f"nodes are integers, got {found.dtype} ({found[0]} at place 0)")
    wrong = (found < 0) | (found >= num_nodes)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ValueError(
            f"node {found[at]} at place {at} is out of range, 0 to {num_nodes - 1} are possible"
        )
    seen, count = np.unique(found, return_counts=True)
    if len(seen) < len(found):
        raise ValueError(f"node {seen[np.argmax(count > 1)]} is named twice; name each target once")
    return found.astype(np.int64)


def _checked_depth(depth: int | None) -> int | None:
    if depth is not None and (not isinstance(depth, int | np.integer) or depth < 0):
        raise ValueError(f"depth is a whole number from 0 on, or None for no limit, got {depth!r}")
    return depth
