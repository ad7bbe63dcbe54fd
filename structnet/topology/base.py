"""Topology: the predecessors of the nodes of a structure."""

import abc
import reprlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from structnet.registry.checked import Checked
from structnet.topology.edges import (
    Edges,
    check_apart,
    check_fields,
    comes_apart,
    join,
    sample_bounds,
)
from structnet.topology.foreign import is_data, is_networkx, is_row
from structnet.topology.levels import Ints
from structnet.topology.plan import Plan, lasting
from structnet.topology.tables import plan_ordered, plan_unordered


class Topology(metaclass=Checked):
    """The predecessors of every node of a structure.

    Attributes:
        takes: the kind of structure that tasks give it: sequence, tree, grid, graph or undirected.
        joins: whether `predecessors` takes the disjoint union of graphs, a batch at once.
        arity: the number of ordered slots, or None for any number of unordered predecessors.
        distinct_slots: how many ordered slots have weights of their own, those after share the
            last one's; None for all.
        directions: the names of the directions.
        in_turn: whether a direction reads the outputs of those before it, beside the input.
        num_initial: the number of initial states per sample, or None for one per node. In the table
            of n nodes, the entry n + j stands for initial state j.
    """

    takes: ClassVar[str] = "graph"
    joins: ClassVar[bool] = False
    arity: int | None = 1
    distinct_slots: int | None = None
    directions: tuple[str, ...] = ("forward",)
    in_turn: bool = False
    num_initial: int | None = 0

    @abc.abstractmethod
    def predecessors(self, structure: Any) -> Any:
        """The predecessors of one sample: a table (n, arity), -1 where absent, or `Edges`.

        `Edges` if `arity` is None; a tuple with one per direction if there are several directions.
        """

    def levels(self, structure: Any) -> Sequence[Ints | None]:
        """The level of every node (n,), per direction; None if it has to be searched for.

        A node's level is one more than the highest level of its predecessors, 0 if it has none.
        """
        return (None,) * len(self.directions)

    def union(self, structures: Sequence[Any]) -> tuple[Any, Ints] | None:
        """A batch as one structure that `predecessors` takes, and the bounds of its samples.

        None where samples are read one by one, which takes longer. ValueError for what is wrong
        with any of them, which are then read one by one for the error.
        """
        if self.joins and all(isinstance(one, Edges) for one in structures):
            return join(structures)
        return None

    def positions(self, structure: Any) -> ArrayLike | None:
        """The position of every node in a picture (n, 2), to the right and down; None: by level."""
        return None

    @property
    def arities(self) -> tuple[int | None, ...]:
        """The arity in each direction."""
        return (self.arity,) * len(self.directions)

    def plan(self, structures: Any) -> tuple[Plan, ...]:
        """Plan a batch: one plan per direction, over the samples' nodes, concatenated.

        Plans of structures that are plain numbers are cached. ValueError, with sample and node, for
        an index that is out of range or not an integer, for a cycle, and for features of a Data
        that are not one row per node or edge, or not finite.

        Arguments:
            structures: a sequence, or rows of datasets, with one structure per sample; the groups
                of a pandas frame, each a sequence of rows; or a torch_geometric Batch or Data, a
                networkx graph, `Edges`, a mapping with `edge_index` or an nltk.Tree by itself.

        >>> (plan,) = sn.topologies.create("chain").plan([3, 1])  # two chains, of 3 nodes and of 1
        >>> plan.level_sizes, plan.order.tolist()
        ((2, 1, 1), [0, 3, 1, 2])
        """
        with lasting():
            if is_data(structures):
                return self._plan_data(structures)
            structures = _as_samples(structures)
            if isinstance(self, Hashable) and all(map(_is_shape, structures)):
                return _cached_plan(self, tuple(structures))
            return self._plan(structures)

    def _plan(self, structures: Sequence[Any]) -> tuple[Plan, ...]:
        if len(structures) > 1:
            joined = self._plan_joined(lambda: self.union(structures), lambda: structures)
            if joined is not None:
                return joined
        samples = [self._tables(structure, i) for i, structure in enumerate(structures)]
        return self._plan_tables(samples, [self.levels(structure) for structure in structures])

    def _plan_data(self, data: Any) -> tuple[Plan, ...]:
        """Plan a torch_geometric Data or Batch."""
        if getattr(data, "ptr", None) is None:
            return self._plan([data])
        bounds = sample_bounds(data)
        whole = not comes_apart(data, bounds)
        if self.joins:
            apart = list if whole else data.to_data_list
            plans = self._plan_joined(lambda: (data, bounds), apart)
            assert plans is not None
            return plans
        if whole:
            raise ValueError(
                "ptr has other bounds than batch, as Batch.subgraph leaves it, but "
                f"{type(self).__name__} takes graphs one by one: give it a list of Data"
            )
        return self._plan(data.to_data_list())

    def _plan_joined(
        self, joined: Callable[[], tuple[Any, Ints] | None], apart: Callable[[], Sequence[Any]]
    ) -> tuple[Plan, ...] | None:
        """Plan the disjoint union of samples, which `joined` gives with their bounds, if it does.

        If it can't be read, the error names one of the samples, which `apart` gives.
        """
        try:
            if (found := joined()) is None:
                return None
            graph, ptr = found
            tables = self._read(graph)
            if is_data(graph):
                check_apart(graph.edge_index, ptr)
        except ValueError:
            for number, structure in enumerate(apart()):
                self._tables(structure, number)
            raise
        return self._plan_tables([tables], [self.levels(graph)], ptr)

    def _plan_tables(
        self, samples: list[Any], levels: list[Any], ptr: Ints | None = None
    ) -> tuple[Plan, ...]:
        """One plan per direction; `ptr` are the samples' bounds, for the table of a union."""
        if len(self.directions) == 1:
            samples = [(tables,) for tables in samples]
        return tuple(
            (plan_unordered if arity is None else partial(plan_ordered, arity=arity))(
                [tables[d] for tables in samples],
                num_initial=self.num_initial,
                levels=_known([one[d] for one in levels]),
                samples=ptr,
            )
            for d, arity in enumerate(self.arities)
        )

    def _tables(self, structure: Any, sample: int) -> Any:
        try:
            return self._read(structure)
        except ValueError as error:
            raise ValueError(f"sample {sample}: {error}") from error

    def _read(self, structure: Any) -> Any:
        if is_data(structure):
            self._reject_graph("torch_geometric", structure)
            check_fields(structure)
        elif is_networkx(structure):
            self._reject_graph("networkx", structure)
        return self.predecessors(structure)

    def _reject_graph(self, of: str, structure: Any) -> None:
        """ValueError if the topology does not take graphs."""
        if self.takes in ("sequence", "grid"):
            raise ValueError(
                f"{type(self).__name__} takes a {self.takes}, got a {of} "
                f"{type(structure).__name__}; take topology 'graph'"
            )


def _as_samples(structures: Any) -> Sequence[Any]:
    """The structures as a sequence with one per sample; ValueError for anything else."""
    is_foreign = is_networkx(structures) or is_row(structures) or hasattr(structures, "subtrees")
    if is_foreign or isinstance(structures, Edges):
        return [structures]
    # What `groupby` of a pandas frame makes.
    if hasattr(structures, "ngroups"):
        return [len(rows) for _, rows in structures]
    if isinstance(structures, list | tuple):
        return structures
    if isinstance(structures, str | bytes | Mapping) or not _has_items(structures):
        raise ValueError(
            "structures must be a list with one per sample, got "
            f"{type(structures).__name__} {reprlib.repr(structures)}; for a single one give a "
            "list of it"
        )
    return list(structures)


def _has_items(structures: Any) -> bool:
    try:
        iter(structures)
    except TypeError:
        return False
    return True


def _is_shape(structure: Any) -> bool:
    if isinstance(structure, tuple):
        return all(type(size) is int for size in structure)
    return type(structure) is int


@lru_cache(maxsize=64)
def _cached_plan(topology: Topology, structures: tuple[Any, ...]) -> tuple[Plan, ...]:
    return topology._plan(structures)


def _known(levels: list[Ints | None]) -> Ints | None:
    """The levels of a batch's nodes; None if those of a sample have to be searched for."""
    known = [level for level in levels if level is not None]
    return np.concatenate(known) if known and len(known) == len(levels) else None
