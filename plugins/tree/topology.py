"""Trees, from child tables, torch_geometric Data or nltk trees."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import structnet as sn

Ints = NDArray[np.integer]


@sn.topologies.register("tree")
class Tree(sn.Topology):
    """A tree: with direction=up a node follows its children, with direction=down its parent.

    Tai et al. (2015). Structure: child indices (n, K), -1 where absent; or a torch_geometric Data
    or a networkx graph whose edges lead from child to parent, children in the order of their edges;
    or an nltk.Tree, its nodes in the order of `subtrees()`. Several roots make a forest.

    Arguments:
        arity: the number of ordered child slots, each with weights of its own (2 is a binary tree),
            with direction=down as well, where a node reads its parent by the weights of the slot in
            which the parent has it; null is any number of children, which share weights and are
            summed.
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
        direction: Literal["up", "down", "both", "in_turn"] = "up",
    ):
        if arity is not None and arity < 1:
            raise ValueError(f"option 'arity' is at least 1, or null for any number, got {arity}")
        self.arity = arity
        self.in_turn = direction == "in_turn"
        self.directions = (direction,) if direction in ("up", "down") else ("up", "down")

    @property
    def arities(self) -> tuple[int | None, ...]:
        below = 1 if self.arity is None else self.arity
        return tuple(self.arity if direction == "up" else below for direction in self.directions)

    def predecessors(self, structure: Any) -> Any:
        children = self._slots(child_table(structure))
        tables = [
            children if direction == "up" else self._above(children)
            for direction in self.directions
        ]
        return tuple(tables) if len(tables) > 1 else tables[0]

    def _above(self, children: Ints) -> Ints:
        """Every node's parent, in the slot in which the parent has the node if slots differ."""
        if self.arity is None:
            return parents(children)[:, None]
        found = np.full_like(children, -1)
        above, slot = np.nonzero(children >= 0)
        found[children[above, slot], slot] = above
        return found

    def _slots(self, children: Ints) -> Ints:
        if self.arity is None:
            return children
        missing = self.arity - children.shape[1]
        if missing == 0:
            return children
        if missing > 0:
            return np.pad(children, ((0, 0), (0, missing)), constant_values=-1)
        crowded = np.flatnonzero((children[:, self.arity :] >= 0).any(axis=1))
        if crowded.size:
            node = int(crowded[0])
            count = int((children[node] >= 0).sum())
            raise ValueError(
                f"node {node} has {count} children, the tree's arity is {self.arity}; "
                f"set arity={children.shape[1]}, or null for any number"
            )
        return children[:, : self.arity]


def child_table(structure: Any) -> Ints:
    """The children (n, K) of every node, -1 where absent; ValueError for more than one parent."""
    if getattr(structure, "edge_index", None) is not None:
        table = _from_edges(np.asarray(structure.edge_index), int(structure.num_nodes))
    elif hasattr(structure, "subtrees"):
        table = _from_nltk(structure)
    elif callable(getattr(structure, "number_of_nodes", None)):
        edges = sn.Edges.of(structure)
        table = _from_edges(np.asarray(edges.index), edges.num_nodes)
    else:
        table = _as_table(structure)
    if table.ndim != 2 or (table.size and not np.issubdtype(table.dtype, np.integer)):
        raise ValueError(
            f"a tree is an integer table (nodes, slots) of children, got {table.dtype} "
            f"of shape {table.shape}; a torch_geometric Data or an nltk.Tree will do as well"
        )
    table = table.astype(np.int64, copy=False)
    wrong = (table < -1) | (table >= len(table))
    if wrong.any():
        node, slot = (int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"child {table[node, slot]} of node {node} is out of range, "
            f"-1 (absent) to {len(table) - 1} are possible"
        )
    count = np.bincount(table[table >= 0], minlength=len(table))
    if count.size and count.max() > 1:
        child = int(np.argmax(count > 1))
        above = np.argwhere(table == child)[:, 0].tolist()
        raise ValueError(f"node {child} is a child of nodes {above}; in a tree it has one parent")
    return table


def _as_table(structure: Any) -> Ints:
    try:
        return np.asarray(structure)
    except ValueError as error:
        raise ValueError(
            "a tree is an integer table (nodes, slots) of children, -1 where absent, all rows of "
            f"the same length: {error}"
        ) from error


def parents(children: Ints) -> Ints:
    """The parent of every node, -1 for a root."""
    parent = np.full(len(children), -1)
    above, slot = np.nonzero(children >= 0)
    parent[children[above, slot]] = above
    return parent


def _from_edges(edges: Ints, num_nodes: int) -> Ints:
    integers = np.issubdtype(edges.dtype, np.integer)
    if edges.ndim != 2 or len(edges) != 2 or (edges.size and not integers):
        raise ValueError(
            f"edge_index is (2, edges) integers, got {edges.dtype} of shape {edges.shape}"
        )
    wrong = (edges < 0) | (edges >= num_nodes)
    if wrong.any():
        row, edge = (int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"edge {edge} names node {edges[row, edge]}, there are nodes 0 to {num_nodes - 1}"
        )
    edges = edges.astype(np.int64, copy=False)
    return sn.Edges(edges, num_nodes).table()


def _from_nltk(tree: Any) -> Ints:
    parent: list[int] = []
    stack = [(-1, tree)]
    while stack:
        above, node = stack.pop()
        below = [subtree for subtree in node if hasattr(subtree, "subtrees")]
        stack.extend((len(parent), subtree) for subtree in reversed(below))
        parent.append(above)
    return sn.Edges.of_parents(parent).table()
