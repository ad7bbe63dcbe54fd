"""Graphs and targets of a dataset of torch_geometric, and their splits.

n: nodes, E: edges of a graph; D, C: features of a node and of an edge.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

import structnet as sn

MASKS = {"train": "train_mask", "validation": "val_mask", "test": "test_mask"}


@dataclass(frozen=True)
class Graph:
    """A graph: edges (2, E), x (n, D), edge_x (E, C) or None, targets y and which are known.

    There is one target per node, (n,), or one for the graph, (1,).
    """

    edges: Tensor
    x: Tensor
    edge_x: Tensor | None
    y: Tensor
    known: Tensor

    def summary(self, per_node: bool) -> Tensor:
        """Features without structure, one row per target: the nodes', or their sum and n."""
        if per_node:
            return self.x
        return torch.cat([self.x.sum(0), self.x.new_tensor([len(self.x)])])[None]


def targets_per_node(graphs: Sequence[Any], name: str) -> bool:
    """Whether `y` has one row per node; ValueError where it has neither that nor one per graph."""
    if not graphs or any(getattr(data, "y", None) is None for data in graphs):
        raise ValueError(
            f"{name} has {len(graphs)} graphs, some of them without y: nothing to predict"
        )
    rows = [len(data.y) if data.y.dim() else 1 for data in graphs]
    if all(row == 1 for row in rows):
        return False
    if all(row == data.num_nodes for row, data in zip(rows, graphs, strict=True)):
        return True
    raise ValueError(
        f"{name}: y has neither one row per graph nor one per node; take another dataset"
    )


def kind_of(graphs: Sequence[Any], name: str) -> str:
    """The kind of all graphs, "undirected" or "graph" for DAGs; ValueError for cyclic ones."""
    from torch_geometric.utils import is_undirected, remove_self_loops

    def both_ways(data: Any) -> bool:
        index, _ = remove_self_loops(data.edge_index)
        return is_undirected(index, num_nodes=data.num_nodes)

    if all(map(both_ways, graphs)):
        return "undirected"
    for number, data in enumerate(graphs):
        try:
            sn.schedule(data.edge_index.numpy(), num_nodes=data.num_nodes)
        except ValueError as error:
            raise ValueError(
                f"graph {number} of {name} is directed and has a cycle ({error}): no topology "
                "takes it as it is; task.undirected=true adds the reverse of every edge"
            ) from error
    return "graph"


def read_graph(data: Any, kind: str, target: int, where: str) -> Graph:
    """A `Data` as a `Graph` of the given kind; ValueError for a missing column of targets."""
    from torch_geometric.utils import remove_self_loops, to_undirected

    edges, edge_x = data.edge_index, _dense(data.edge_attr)
    if kind == "undirected":
        edges, edge_x = remove_self_loops(edges, edge_x)
        # An edge whose reverse is there already keeps its features.
        given = [] if edge_x is None else [edge_x]
        edges, given = to_undirected(edges, given, data.num_nodes, reduce="max")
        edge_x = given[0] if given else None
    y = data.y.reshape(len(data.y) if data.y.dim() else 1, -1)
    if target >= y.shape[1]:
        raise ValueError(f"{where} has {y.shape[1]} targets, option 'target' is {target}")
    y = y[:, target]
    known = ~y.isnan() if y.is_floating_point() else y >= 0
    return Graph(edges, _features(data), edge_x, y, known)


def split_graphs(
    given: Mapping[str, Sequence[Any]],
    read: Mapping[str, list[Graph]],
    per_node: bool,
    seed: int,
    name: str,
) -> dict[str, list[Graph]]:
    """The splits train, validation and test: the dataset's own, or random ones."""
    if set(read) != {"all"}:
        return dict(read)
    graphs = read["all"]
    if per_node and all(getattr(data, mask, None) is not None
                        for data in given["all"] for mask in MASKS.values()):  # fmt: skip
        masks = {
            split: [_first(getattr(data, mask)) for data in given["all"]]
            for split, mask in MASKS.items()
        }
        return {split: _masked(graphs, some) for split, some in masks.items()}
    if per_node and len(graphs) == 1:
        parts = _draw(len(graphs[0].y), seed, f"{name}, a graph of {len(graphs[0].y)} nodes,")
        some = {split: torch.zeros(len(graphs[0].y)).bool() for split in parts}
        for split, chosen in parts.items():
            some[split][chosen] = True
        return {split: _masked(graphs, [mask]) for split, mask in some.items()}
    parts = _draw(len(graphs), seed, f"{name}, {len(graphs)} graphs,")
    return {split: [graphs[i] for i in chosen.tolist()] for split, chosen in parts.items()}


def _masked(graphs: Sequence[Graph], masks: Sequence[Tensor]) -> list[Graph]:
    return [
        replace(graph, known=graph.known & mask)
        for graph, mask in zip(graphs, masks, strict=True)
        if (graph.known & mask).any()
    ]


def _first(mask: Tensor) -> Tensor:
    """The first of several splits, which are columns."""
    return mask if mask.dim() == 1 else mask[:, 0]


def _draw(count: int, seed: int, what: str) -> dict[str, Tensor]:
    if count < 10:
        raise ValueError(f"{what} is too small to be split in training, validation and test")
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    tenth = count // 10
    return {
        "train": order[2 * tenth :],
        "validation": order[:tenth],
        "test": order[tenth : 2 * tenth],
    }


def _features(data: Any) -> Tensor:
    x = _dense(getattr(data, "x", None))
    if x is not None and x.shape[1]:
        return x
    degrees = [torch.bincount(end, minlength=data.num_nodes) for end in data.edge_index]
    return torch.stack(degrees, dim=1).float().log1p()


def _dense(values: Any) -> Tensor | None:
    """Features as floats (rows, columns)."""
    if values is None:
        return None
    values = values.to_dense() if values.layout != torch.strided else values
    return values.reshape(len(values), -1).float()
