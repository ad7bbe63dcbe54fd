"""Data given in Python, one structure a row: `(structure, x, y)`, and objects of other libraries.

n: nodes, D: features of a node, E: edges, F: features of an edge.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch

from structnet.data.batch import Origin, Sample
from structnet.topology.edges import Edges, as_array
from structnet.topology.foreign import is_data, is_networkx, is_row

FORMS = (
    "a row is (structure, x, y), an sn.Sample, an nltk.Tree, a torch_geometric Data, or a mapping "
    "with the keys structure, x and y, or edge_index, num_nodes, x and y"
)


class Row(NamedTuple):
    """One structure.

    Arguments:
        structure: what a topology takes.
        x: features, an array (n, D) float32; or the words of every node, n lists of texts.
        y: the target of the structure, or those of its nodes (n,); None if not known.
        edge_x: features of its edges, (E, F) float32; None for none.
        of: where it stood: `data`, or the split.
        number: its number there, from 0 on.
    """

    structure: Any
    x: Any
    y: Any = None
    edge_x: Any = None
    of: str = "data"
    number: int = 0

    @property
    def origin(self) -> Origin:
        return Origin(self.of, self.number + 1, f"sample {self.number}")


@contextmanager
def placed(of: str, number: int) -> Iterator[None]:
    """A ValueError begins with the place of a row."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{of}, row {number}: {error}") from error


def read_rows(rows: Iterable[Any], of: str, per_node: bool | None = None) -> Iterator[Row]:
    """The rows of what was given; ValueError names the place, and what is wrong.

    Arguments:
        rows: in the forms of `FORMS`; a `Row` stays as it is.
        of: where they stand.
        per_node: of a tree, whether the targets are the labels of all nodes, not of the root.
    """
    for number, one in enumerate(rows):
        with placed(of, number):
            yield one if isinstance(one, Row) else _read(one, bool(per_node), of, number)


def _read(given: Any, per_node: bool, of: str, number: int) -> Row:
    structure, x, y, edge_x = _parts(given, per_node)
    edges = None if edge_x is None else _numbers(edge_x, "edge_x")
    row = Row(structure, _input(x), _target(y), edges, of, number)
    if len(row.x) != (nodes := _count_nodes(structure)):
        raise ValueError(f"x has {len(row.x)} rows, its structure {nodes} nodes")
    return row


def _parts(given: Any, per_node: bool) -> tuple[Any, Any, Any, Any]:
    if isinstance(given, Sample):
        return given.structure, given.x, given.y, given.edge_x
    if is_tree(given):
        nodes = nodes_of_tree(given)
        words = [[str(leaf) for leaf in node if not is_tree(leaf)] for node in nodes]
        return given, words, [node.label() for node in nodes] if per_node else given.label(), None
    if isinstance(given, Mapping):
        structure = Edges.of(given) if is_row(given) else given.get("structure")
        if structure is None or given.get("x") is None:
            raise ValueError(f"{FORMS}; got a mapping with {sorted(map(str, given))[:20]}")
        return structure, given["x"], given.get("y"), given.get("edge_attr")
    if is_data(given):
        if getattr(given, "x", None) is None:
            raise ValueError("the Data has no x: set data.x, (nodes, features)")
        return given, given.x, getattr(given, "y", None), getattr(given, "edge_attr", None)
    if isinstance(given, tuple | list) and len(given) in (2, 3):
        return (*given, None)[0], given[1], given[2] if len(given) == 3 else None, None
    raise ValueError(f"{FORMS}; got {_short(given)}")


def _input(x: Any) -> Any:
    """Features, or the words of every node."""
    if isinstance(x, Sequence) and not isinstance(x, str) and len(x) and _are_words(x):
        return [[one] if isinstance(one, str) else list(one) for one in x]
    return _numbers(x, "x")


def _are_words(x: Sequence[Any]) -> bool:
    """Whether every node has a word or a list of words; a list that is empty has none."""
    return all(
        isinstance(one, str)
        or (isinstance(one, list | tuple) and all(isinstance(word, str) for word in one))
        for one in x
    )


def _numbers(values: Any, name: str) -> Any:
    """An array (n, D) of finite numbers."""
    try:
        array = np.asarray(as_array(values), np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} must be numbers (nodes, features), or a text or a list of texts for every "
            f"node, got {_short(values)}: {error}"
        ) from error
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2:
        raise ValueError(f"{name} must be (nodes, features), got an array of shape {array.shape}")
    if not np.isfinite(array).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(
            f"{name} is {array[row, column]} in row {row}, column {column}: fill in what is "
            "missing, with a column that says so"
        )
    return array


def _target(y: Any) -> Any:
    """A plain value, or a list of them; one alone for a list of one."""
    if isinstance(y, torch.Tensor | np.ndarray | np.generic):
        y = as_array(y).reshape(-1).tolist() if np.ndim(y) else y.item()
    if isinstance(y, list | tuple):
        return y[0] if len(y) == 1 else list(y)
    if y is None or isinstance(y, str | bool | int | float):
        return y
    raise ValueError(f"y must be a class, a number, or one for every node, got {_short(y)}")


def kind_of(structures: Sequence[Any]) -> str:
    """The kind of structure that these are, as in a topology's `takes`.

    ValueError for those of none, or of several kinds.
    """
    kinds = sorted({_kind(one) for one in structures})
    if kinds == ["graph", "undirected"]:
        return "graph"
    if len(kinds) != 1:
        raise ValueError(f"the structures are of several kinds, {kinds}: give those of one")
    return kinds[0]


def _kind(structure: Any) -> str:
    if isinstance(structure, int | np.integer):
        return "sequence"
    if is_tree(structure):
        return "tree"
    if _is_graph(structure):
        pairs = Edges.of(structure).index.T.tolist()
        both = set(map(tuple, pairs))
        return "undirected" if both and both == {(b, a) for a, b in both} else "graph"
    if isinstance(structure, tuple) and all(type(size) is int for size in structure):
        return "grid"
    if np.ndim(structure) == 2:
        return "tree"
    raise ValueError(
        "a structure is the length of a sequence, the sizes of a grid, a table (nodes, slots) of "
        "children, an nltk.Tree, sn.Edges, a torch_geometric Data or a networkx graph, got "
        f"{_short(structure)}"
    )


def is_tree(structure: Any) -> bool:
    """Whether it has the attributes of an nltk.Tree."""
    return hasattr(structure, "subtrees")


def nodes_of_tree(tree: Any) -> list[Any]:
    """The nodes of an nltk.Tree but for its leaves, in the order of `subtrees()`."""
    found, stack = [], [tree]
    while stack:
        node = stack.pop()
        found.append(node)
        stack += [one for one in reversed(list(node)) if is_tree(one)]
    return found


def _count_nodes(structure: Any) -> int:
    kind = _kind(structure)
    if kind == "sequence":
        return int(structure)
    if kind == "grid":
        return math.prod(structure)
    if is_tree(structure):
        return len(nodes_of_tree(structure))
    return Edges.of(structure).num_nodes if _is_graph(structure) else len(structure)


def _is_graph(structure: Any) -> bool:
    return isinstance(structure, Edges) or is_data(structure) or is_networkx(structure)


def _short(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 80 else text[:77] + '...'}"
