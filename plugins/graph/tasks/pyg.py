"""Datasets of torch_geometric as tasks."""

import abc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import structnet as sn
from structnet.plugins.graph.pyg.datasets import MADE, open_dataset
from structnet.plugins.graph.pyg.graphs import (
    Graph,
    kind_of,
    read_graph,
    split_graphs,
    targets_per_node,
)


class _Graphs(sn.Task):
    """What classes and numbers as targets share."""

    def __init__(self, splits: dict[str, list[Graph]], kind: str, per_node: bool):
        self._splits, self._per_node = splits, per_node
        self.structures = (kind,)  # pyright: ignore[reportAttributeAccessIssue]
        first = splits["train"][0]
        self.input_size = first.x.shape[1]
        self.edge_size = None if first.edge_x is None else first.edge_x.shape[1]
        # The graphs of another root folder.
        self.reopen: Callable[[Path], Sequence[Graph]] = lambda path: ()

    def scores_nodes(self, topology: sn.Topology) -> bool:
        return self._per_node

    def readout(self, topology: sn.Topology) -> str:
        return "every" if self._per_node else "mean"

    def load(self, topology: sn.Topology) -> sn.Splits:
        return sn.Splits(
            {split: list(map(self._sample, some)) for split, some in self._splits.items()}
        )

    @abc.abstractmethod
    def target(self, y: Tensor, known: Tensor) -> NDArray:
        """The targets, with the mark for unknown ones where they are not `known`."""

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        """The graphs in another folder with files of the same dataset class and name."""
        for number, graph in enumerate(self.reopen(path)):
            origin = sn.Origin(path, number + 1, f"graph {number}, {len(graph.x)} nodes")
            yield replace(self._sample(graph), origin=origin)

    def _sample(self, graph: Graph) -> sn.Sample:
        y = self.target(graph.y, graph.known)
        return sn.Sample(
            sn.Edges(graph.edges.numpy(), len(graph.x)),
            graph.x.numpy(),
            y if self._per_node else y[0],
            edge_x=None if graph.edge_x is None else graph.edge_x.numpy(),
        )

    def _known(self, split: str) -> Tensor:
        return torch.cat([graph.y[graph.known] for graph in self._splits[split]])

    def _table(self, split: str) -> tuple[NDArray, NDArray]:
        """Features without structure, and known targets, one row per target."""
        rows = [graph.summary(self._per_node)[graph.known] for graph in self._splits[split]]
        return torch.cat(rows).numpy(), self._known(split).numpy()


class PyGClasses(_Graphs):
    """The classes of the graphs or nodes of a dataset."""

    def __init__(self, splits: dict[str, list[Graph]], kind: str, per_node: bool):
        super().__init__(splits, kind, per_node)
        count = max(int(self._known(split).max()) for split in splits) + 1
        self.classes = [str(label) for label in range(count)]

    def target(self, y: Tensor, known: Tensor) -> NDArray:
        return torch.where(known, y.nan_to_num().long(), sn.IGNORE).numpy()

    def measured(self, output: Tensor, batch: sn.Batch) -> dict[str, tuple[Tensor, Tensor]]:
        return {"accuracy": (output, batch.y)}

    def baselines(self) -> dict[str, dict[str, float]]:
        """Logistic regression on a node's own features, or on their sum over a graph."""
        from structnet.plugins.baselines.features import fit_classes

        train, test = ((x, y.astype(np.int64)) for x, y in map(self._table, ("train", "test")))
        return fit_classes(train, test, "bag of nodes")


class PyGNumbers(_Graphs, sn.Regression):
    """Numbers to predict for the graphs or nodes of a dataset."""

    def target(self, y: Tensor, known: Tensor) -> NDArray:
        return torch.where(known, y.float(), torch.nan).numpy()

    def load(self, topology: sn.Topology) -> sn.Splits:
        return sn.Splits(super().load(topology), scale=self.scale_of(self._known("train")))

    def baselines(self) -> dict[str, dict[str, float]]:
        """Regressions on a node's own features, or on their sum over a graph."""
        from structnet.plugins.baselines.features import fit_numbers

        return fit_numbers(self._table("train"), self._table("test"))


@sn.tasks.register("pyg")
def pyg(
    *,
    dataset: str | None = None,
    dataset_name: str | None = None,
    root: str | None = None,
    goal: Literal["classes", "numbers"] | None = None,
    target: int = 0,
    undirected: bool = False,
    seed: int = 0,
) -> sn.Task:
    """A dataset of torch_geometric: classes or numbers of graphs or of nodes.

    Nothing is downloaded. There is one target per node if `y` has a row for every node, else one
    per graph. Classes below 0 and NaN are unknown targets. The splits are those of the dataset, or
    of its masks, the first where there are several; else a random tenth each of the graphs, or of
    the nodes of a single graph, is validation and test. Without `x`, the features of a node are the
    logarithms of its degrees. Self-loops are removed from undirected graphs, which are for topology
    ordered_graph; DAGs are for topology graph.

    Arguments:
        dataset: the name of the class in torch_geometric.datasets.
        dataset_name: the class's argument `name`, if it has one.
        root: the folder with the dataset's files, the class's argument `root`.
        goal: what is predicted; null is classes if the targets are whole numbers, else numbers.
        target: the column of y that is predicted, where there are several.
        undirected: add the reverse of every edge.
        seed: the seed of random splits.
    """
    for option, value in (("seed", seed), ("target", target)):
        if value < 0:
            raise ValueError(f"option {option!r} is at least 0, got {value}")
    given = open_dataset(str(dataset), dataset_name, root)
    name = " ".join(filter(None, (dataset, dataset_name)))
    graphs = [data for some in given.values() for data in some]
    per_node = targets_per_node(graphs, name)
    kind = "undirected" if undirected else kind_of(graphs, name)

    def read_all(given: Mapping[str, Sequence[Any]]) -> dict[str, list[Graph]]:
        return {
            split: [read_graph(data, kind, target, name) for data in some]
            for split, some in given.items()
        }

    def reopen(path: Path) -> list[Graph]:
        if dataset in MADE:
            raise ValueError(
                f"{name} is drawn and has no files, here {path}: structnet draw run=DIR sample=N "
                "shows what the net says of a graph"
            )
        found = open_dataset(str(dataset), dataset_name, str(path))
        return [graph for some in read_all(found).values() for graph in some]

    read = read_all(given)
    splits = split_graphs(given, read, per_node, seed, name)
    if goal is None:
        goal = "numbers" if splits["train"][0].y.is_floating_point() else "classes"
    task = (PyGClasses if goal == "classes" else PyGNumbers)(splits, kind, per_node)
    task.reopen = reopen
    return task
