"""Trees, from child tables, torch_geometric Data or nltk trees."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import structnet as sn

Ints = NDArray[np.integer]


@sn.topologies.register("tree")
class Tree(sn.Topology):
    """A tree: with direction=up a node follows its children, with direction=down its parent.

    Tai et al. (2015). Structure: child indices (n, K), -1 where absent; or `sn.Edges`, a
    torch_geometric Data, a networkx graph or a mapping with `edge_index` and `num_nodes`, whose
    edges lead from child to parent, children in the order of their edges; or an nltk.Tree, its
    nodes in the order of `subtrees()`. Several roots make a forest. With arity=null, edges take
    memory by the number of nodes alone, however many children one has.

    Arguments:
        arity: the number of ordered child slots, each with weights of its own (2 is a binary tree),
            with direction=down as well, where a node reads its parent by the weights of the slot in
            which the parent has it; null is any number of children, which share weights and are
            summed.
        distinct: how many slots have weights of their own, of an arity above it: those after the
            last of them share its weights, so that children from there on are summed, whatever
            their order, and of any number up to the arity; null is all.
        direction: up follows the children, down the parent; both has one pass for each; in_turn
            has them in turn, as the pass down reads what the pass up returned at the same node
            (Paulus et al. 2014).
    """

    takes = "tree"
    joins = True

    def __init__(
        self,
        *,
        arity: int | None = 2,
        distinct: int | None = None,
        direction: Literal["up", "down", "both", "in_turn"] = "up",
    ):
        if arity is not None and arity < 1:
            raise ValueError(f"option 'arity' is at least 1, or null for any number, got {arity}")
        if distinct is not None and not 1 <= distinct < (arity or 0):
            raise ValueError(
                f"option 'distinct' is at least 1 and below 'arity', {arity}, got {distinct}; "
                "arity=null is any number of children that all share weights"
            )
        self.arity, self.distinct_slots = arity, distinct
        self.in_turn = direction == "in_turn"
        self.directions = (direction,) if direction in ("up", "down") else ("up", "down")

    @property
    def arities(self) -> tuple[int | None, ...]:
        below = 1 if self.arity is None else self.arity
        return tuple(self.arity if direction == "up" else below for direction in self.directions)

    def predecessors(self, structure: Any) -> Any:
        children = self._slots(children_of(structure))
        tables = [
            children if direction == "up" else self._above(children)
            for direction in self.directions
        ]
        return tuple(tables) if len(tables) > 1 else tables[0]

    def union(self, structures: Sequence[Any]) -> tuple[Any, Ints] | None:
        if all(map(_is_table, structures)) and len({one.shape[1] for one in structures}) == 1:
            return _join_tables(structures)
        return super().union(structures)

    def _above(self, children: Any) -> Ints:
        """Every node's parent, in the slot in which the parent has the node if slots differ."""
        if self.arity is None:
            return parents(children)[:, None]
        found = np.full_like(children, -1)
        above, slot = np.nonzero(children >= 0)
        found[children[above, slot], slot] = above
        return found

    def _slots(self, children: sn.Edges | Ints) -> sn.Edges | Ints:
        if self.arity is None:
            return children
        if isinstance(children, sn.Edges):
            count = np.bincount(children.index[1], minlength=children.num_nodes)
            self._refuse_crowded(count, count > self.arity, int(count.max(initial=0)))
            children = children.table()
        missing = self.arity - children.shape[1]
        if missing >= 0:
            return np.hstack([children, np.full((len(children), missing), -1)])
        beyond = np.asarray((children[:, self.arity :] >= 0).any(axis=1))
        self._refuse_crowded((children >= 0).sum(axis=1), beyond, children.shape[1])
        return children[:, : self.arity]

    def _refuse_crowded(self, count: Ints, crowded: NDArray[np.bool_], most: int) -> None:
        """ValueError for a node with children beyond the slots."""
        if crowded.any():
            node = int(np.argmax(crowded))
            raise ValueError(
                f"node {node} has {count[node]} children, the tree's arity is {self.arity}; set "
                f"arity={most}, or null for any number"
            )


def children_of(structure: Any) -> sn.Edges | Ints:
    """The edges from child to parent, or the children (n, K) of every node if that was given.

    ValueError for a node with more than one parent.
    """
    if hasattr(structure, "subtrees"):
        structure = _from_nltk(structure)
    is_data = getattr(structure, "edge_index", None) is not None
    is_networkx = callable(getattr(structure, "number_of_nodes", None))
    is_row = isinstance(structure, Mapping) and "edge_index" in structure
    if isinstance(structure, sn.Edges) or is_data or is_networkx or is_row:
        edges = sn.Edges.of(structure)
        child, above = edges.index
        _refuse_several_parents(child, above, edges.num_nodes)
        return edges
    table = _as_table(structure)
    table = _checked(table)
    above, slot = np.nonzero(table >= 0)
    _refuse_several_parents(table[above, slot], above, len(table))
    return table


def _is_table(structure: Any) -> bool:
    is_array = type(structure) is np.ndarray and structure.ndim == 2
    return is_array and structure.dtype.kind in "iu"


def _join_tables(tables: Sequence[Ints]) -> tuple[Ints, Ints]:
    """The children (n, K) of all nodes of trees, and the bounds of the trees."""
    sizes = np.array([len(table) for table in tables])
    stops = np.cumsum(sizes)
    start = np.repeat(stops - sizes, sizes)[:, None]
    # Without the dtype, an unsigned table would turn all into floats.
    table = np.concatenate(tables, dtype=np.int64, casting="unsafe")
    table = _checked(table, np.repeat(sizes, sizes)[:, None])
    return np.where(table < 0, -1, table + start), np.concatenate([[0], stops])


def _checked(table: Ints, sizes: Ints | None = None) -> Ints:
    """A table of children; ValueError for one that is not below the size of its tree, or of all."""
    if table.ndim != 2 or (table.size and not np.issubdtype(table.dtype, np.integer)):
        raise ValueError(
            f"a tree is an integer table (nodes, slots) of children, got {table.dtype} "
            f"of shape {table.shape}; sn.Edges, a torch_geometric Data or an nltk.Tree will do too"
        )
    table = table.astype(np.int64, copy=False)
    wrong = (table < -1) | (table >= (len(table) if sizes is None else sizes))
    if wrong.any():
        node, slot = (int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"child {table[node, slot]} of node {node} is out of range, "
            f"-1 (absent) to {len(table) - 1} are possible"
        )
    return table


def _refuse_several_parents(child: Ints, above: Ints, num_nodes: int) -> None:
    count = np.bincount(child, minlength=num_nodes)
    if count.size and count.max() > 1:
        node = int(np.argmax(count > 1))
        several = above[child == node].tolist()
        raise ValueError(f"node {node} is a child of nodes {several}; in a tree it has one parent")


def _as_table(structure: Any) -> Ints:
    try:
        return np.asarray(structure)
    except ValueError as error:
        raise ValueError(
            "a tree is an integer table (nodes, slots) of children, -1 where absent, all rows of "
            f"the same length: {error}"
        ) from error


def parents(children: sn.Edges | Ints) -> Ints:
    """The parent of every node, -1 for a root."""
    if isinstance(children, sn.Edges):
        parent = np.full(children.num_nodes, -1)
        parent[children.index[0]] = children.index[1]
        return parent
    parent = np.full(len(children), -1)
    above, slot = np.nonzero(children >= 0)
    parent[children[above, slot]] = above
    return parent


def _from_nltk(tree: Any) -> sn.Edges:
    parent: list[int] = []
    stack = [(-1, tree)]
    while stack:
        above, node = stack.pop()
        below = [subtree for subtree in node if hasattr(subtree, "subtrees")]
        stack.extend((len(parent), subtree) for subtree in reversed(below))
        parent.append(above)
    return sn.Edges.of_parents(parent)
