"""Any dataset of torch_geometric as a task."""

import abc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from structnet.plugins.graph.pyg.datasets import MADE, open_dataset
from structnet.plugins.graph.pyg.graphs import (
    Graph,
    kind_of,
    read_graph,
    split_graphs,
    targets_per_node,
)
from torch import Tensor

import structnet as sn

GOALS = ("classes", "numbers")


class _Graphs(sn.Task):
    """What both kinds of targets share."""

    def __init__(self, splits: dict[str, list[Graph]], kind: str, per_node: bool):
        self._splits, self.structures, self._per_node = splits, (kind,), per_node
        first = splits["train"][0]
        self.input_size = first.x.shape[1]
        self.edge_size = None if first.edge_x is None else first.edge_x.shape[1]
        # The graphs of another root.
        self.reopen: Callable[[Path], Sequence[Graph]] = lambda path: ()

    def scores_nodes(self, topology: sn.Topology) -> bool:
        return self._per_node

    def readout(self, topology: sn.Topology) -> str:
        return "every" if self._per_node else "mean"

    def load(self, topology: sn.Topology) -> dict[str, Sequence[sn.Sample]]:
        return {split: list(map(self._sample, some)) for split, some in self._splits.items()}

    @abc.abstractmethod
    def target(self, y: Tensor, known: Tensor) -> NDArray:
        """Targets, and what stands for one that is not known."""

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        """The graphs of another folder with files of the same dataset class and name."""
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
        """Features without structure, and the targets that are known."""
        rows = [graph.summary(self._per_node)[graph.known] for graph in self._splits[split]]
        return torch.cat(rows).numpy(), self._known(split).numpy()


class PyGClasses(_Graphs):
    """Classes of the graphs or nodes of a dataset."""

    def __init__(self, splits: dict[str, list[Graph]], kind: str, per_node: bool):
        super().__init__(splits, kind, per_node)
        count = max(int(self._known(split).max()) for split in splits) + 1
        self.classes = [str(label) for label in range(count)]

    def target(self, y: Tensor, known: Tensor) -> NDArray:
        return torch.where(known, y.nan_to_num().long(), sn.IGNORE).numpy()

    def measured(self, output: Tensor, batch: sn.Batch) -> dict[str, tuple[Tensor, Tensor]]:
        return {"accuracy": (output, batch.y)}

    def baselines(self) -> dict[str, dict[str, float]]:
        """Logistic regression on a node's own features, or on a graph's sum of them."""
        from structnet.plugins.baselines.features import fit_classes

        tables = ((x, y.astype(np.int64)) for x, y in map(self._table, ("train", "test")))
        return fit_classes(*tables, "bag of nodes")


class PyGNumbers(_Graphs, sn.Regression):
    """Numbers of the graphs or nodes of a dataset."""

    def target(self, y: Tensor, known: Tensor) -> NDArray:
        return torch.where(known, y.float(), torch.nan).numpy()

    def load(self, topology: sn.Topology) -> dict[str, Sequence[sn.Sample]]:
        self.standardise(self._known("train"))
        return super().load(topology)

    def baselines(self) -> dict[str, dict[str, float]]:
        """Regressions on a node's own features, or on a graph's sum of them."""
        from structnet.plugins.baselines.features import fit_numbers

        return fit_numbers(self._table("train"), self._table("test"))


@sn.tasks.register("pyg")
def pyg(
    *,
    dataset: str | None = None,
    dataset_name: str | None = None,
    root: str | None = None,
    goal: str | None = None,
    target: int = 0,
    undirected: bool = False,
    seed: int = 0,
) -> sn.Task:
    """A dataset of torch_geometric, by the name of its class: graphs or nodes, classes or numbers.

    `dataset` is the class, `dataset_name` its option `name`, `root` the folder that it has its
    files in: nothing is downloaded. There is a target a node where `y` has a row a node, else one a
    graph; column `target` where there are several. `goal` is "classes" or "numbers"; without, whole
    numbers in `y` are classes, those below 0 not known. `undirected` takes every edge both ways, as
    undirected graphs have it anyway (topology ordered_graph); DAGs are for topology graph. The
    splits are the dataset's own, or its masks', the first where there are several; else a tenth
    each of the graphs, or of the nodes of a single graph, drawn by `seed`, are validation and test.
    Without `x`, nodes enter with the logarithms of their degrees. Loops are left out of undirected
    graphs.

    Arguments:
        dataset: the class of torch_geometric.datasets.
        dataset_name: its option name, where it has one.
        root: the folder that it has its files in.
        goal: classes or numbers; null tells by the targets' type.
        target: the column of y that is predicted, where there are several.
        undirected: whether every edge is taken both ways.
        seed: the seed that splits are drawn by, where the dataset has none.
    """
    if goal not in (None, *GOALS):
        raise ValueError(f"option 'goal' is one of {list(GOALS)} or null, got {goal!r}")
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
        goal = GOALS[splits["train"][0].y.is_floating_point()]
    task = (PyGClasses if goal == "classes" else PyGNumbers)(splits, kind, per_node)
    task.reopen = reopen
    return task
