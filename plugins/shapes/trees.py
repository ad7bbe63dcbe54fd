"""Trees of JSON objects, brackets, CoNLL-U and nltk, as records.

An object in JSON is one tree, in one of three forms, whose keys may have any names but `children`,
`nodes`, `parent`, `parents` and `tree`:

    {"word": "not", "label": "bad", "children": [{"word": "good"}, {"word": "at all"}]}
    {"label": "bad", "parent": [-1, 0, 0], "nodes": [{"word": "not"}, {"word": "good"}, ...]}
    {"label": "bad", "tree": {"word": "not", "children": [...]}}

In the first the keys that roots alone have are those of whole trees. In the second the nodes may
also be lists beside `parent`, `"word": ["not", "good", "at all"]`, or say their parents themselves:
`{"id": "a", "parent": null}`. In the third `tree` may be a text in brackets.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import structnet as sn
from structnet.plugins.files.lines import Line, read_lines
from structnet.plugins.shapes.json_lines import read_objects
from structnet.plugins.shapes.shape import (
    Place,
    Record,
    Shape,
    flattened,
    id_of,
    numbered,
)
from structnet.plugins.text.conllu import FORM, NOTHING, features_in, read_rows
from structnet.plugins.treebanks.brackets import read_line, read_treebank
from structnet.plugins.treebanks.dependencies import heads
from structnet.plugins.treebanks.reading import kind_of, of_nltk
from structnet.plugins.treebanks.tree import LabelledTree, below_no_root

PARENTS = ("parent", "parents")
# The columns of CoNLL-U that are a node's own, by their places.
OF_WORDS = {"form": FORM, "lemma": 2, "upos": 3, "xpos": 4, "deprel": 7}


def read_trees(path: Path) -> Iterator[Shape]:
    """The trees of a file, in the format that its name says.

    ValueError names file, line, key and value of what is malformed.
    """
    kind = kind_of(path) or ("json" if path.name.removesuffix(".gz").endswith(".ndjson") else None)
    if kind is None:
        raise ValueError(
            f"{path}: the name of a file with trees ends in .jsonl, .ndjson or .json, in .conllu, "
            "or for brackets in .txt, .mrg or .trees, also with .gz"
        )
    if kind == "json":
        return (tree_of(one, place) for place, one in read_objects(path))
    if kind == "conllu":
        return _dependencies(path)
    return map(_of_labelled, read_treebank(read_lines(path)))


def tree_of(record: Mapping[str, Any], place: Place) -> Shape:
    """The tree of an object in JSON; ValueError names the place, the key and the value."""
    if "tree" in record:
        return _wrapped(record, place)
    if any(key in record for key in ("nodes", *PARENTS)):
        return _flat(record, place)
    return _nested(record, place)


def tree_of_nltk(tree: Any, place: Place) -> Shape:
    """The labels and words of an nltk.Tree."""
    return _of_labelled(of_nltk(tree), place)


def _wrapped(record: Mapping[str, Any], place: Place) -> Shape:
    own = flattened(record, place, ["tree"])
    tree = record["tree"]
    if isinstance(tree, str):
        found = _of_labelled(read_line(Line(place.path, place.line, tree)).tree())
    elif isinstance(tree, Mapping):
        found = tree_of(tree, place)
    else:
        raise place.refuse("tree", tree, "an object, or a text in brackets")
    beside = {} if found.rooted else found.own
    if twice := sorted(set(own) & set(beside)):
        raise place.mistake(f"key {twice[0]!r} is there twice, inside of tree and beside it")
    return Shape(place, found.edges, found.nodes, (), {**own, **beside}, found.names)


def _nested(root: Mapping[str, Any], place: Place) -> Shape:
    nodes: list[Record] = []
    parent: list[int] = []
    open_: list[tuple[Any, int]] = [(root, -1)]
    while open_:
        node, above = open_.pop()
        if not isinstance(node, Mapping):
            raise place.refuse(f"a child of node {above}", node, 'an object such as {"word": "a"}')
        children = node.get("children")
        if not isinstance(children, list | None):
            raise place.refuse(f"children of node {len(nodes)}", children, "a list of objects")
        open_.extend((child, len(nodes)) for child in reversed(children or ()))
        parent.append(above)
        nodes.append(flattened(node, place, ["children"] if "children" in node else ()))
    edges = sn.Edges.of_parents(parent).index
    return Shape(place, edges, nodes, (), {}, rooted=True)


def _flat(record: Mapping[str, Any], place: Place) -> Shape:
    listed = [key for key in PARENTS if key in record]
    if len(listed) > 1:
        raise place.mistake("parent and parents are both given: take one of them")
    above = record[listed[0]] if listed else None
    if above is not None and not isinstance(above, list):
        raise place.refuse(listed[0], above, "a list with the parent of every node")
    given, own = _nodes(record, None if above is None else len(above), place)
    ids = numbered([one["id"] for one in given], place) if given and "id" in given[0] else None
    if above is None:
        above = [one.get("parent") for one in given]
    if len(above) != len(given):
        raise place.mistake(f"{len(given)} nodes and {len(above)} parents: a node has one of each")
    parent = [_parent(one, node, ids, len(given), place) for node, one in enumerate(above)]
    names = None if ids is None else list(ids)
    check_parents(parent, place, names)
    nodes = [flattened(one, place, [k for k in ("id", "parent") if k in one]) for one in given]
    return Shape(place, sn.Edges.of_parents(parent).index, nodes, (), own, names)


def _nodes(
    record: Mapping[str, Any], count: int | None, place: Place
) -> tuple[Sequence[Mapping[str, Any]], Record]:
    """The records of nodes, from `nodes` or from lists of `count` values; what is of the tree."""
    if "nodes" in record:
        nodes = record["nodes"]
        if not isinstance(nodes, list) or not nodes:
            raise place.refuse("nodes", nodes, "a list of objects, one per node")
        for at, one in enumerate(nodes):
            if not isinstance(one, Mapping):
                raise place.refuse(f"node {at}", one, 'an object such as {"word": "a"}')
            if ("id" in one) != ("id" in nodes[0]):
                raise place.mistake(f"node {at}: some nodes have an id and others none")
        return nodes, flattened(record, place, ["nodes", *PARENTS])
    columns = {k: v for k, v in record.items() if isinstance(v, list) and k not in PARENTS}
    for key, values in columns.items():
        if len(values) != count:
            raise place.mistake(f"{key} has {len(values)} values for {count} nodes")
    if not count:
        raise place.refuse("parent", [], "a list with the parent of every node")
    nodes = [{key: values[at] for key, values in columns.items()} for at in range(count)]
    return nodes, flattened(record, place, [*columns, *PARENTS])


def _parent(value: Any, node: int, ids: Mapping[str, int] | None, count: int, place: Place) -> int:
    """The number of a parent, -1 for the root."""
    if value is None or (value == -1 and not isinstance(value, bool)):
        return -1
    key = f"the parent of node {node if ids is None else repr([*ids][node])}"
    if ids is not None:
        at = ids.get(id_of(value, place, key))
        if at is None:
            raise place.refuse(key, value, "the id of a node of the tree, null at the root")
        return at
    if type(value) is not int or not 0 <= value < count:
        raise place.refuse(key, value, f"a node's number from 0 to {count - 1}, -1 at the root")
    return value


def check_parents(parent: Sequence[int], place: Place, names: Sequence[str] | None = None) -> None:
    """ValueError unless there is one root, -1, and all other nodes are below it.

    Messages call nodes by `names`, if they have some, else by numbers from 0 on.
    """
    called = range(len(parent)) if names is None else names
    roots = [called[node] for node, above in enumerate(parent) if above < 0]
    if (wrong := below_no_root(np.array(parent))) is not None:
        raise place.mistake(
            f"node {called[wrong]!r}, with parent {called[parent[wrong]]!r}, is part of a cycle or "
            "below one; in a tree the way up from every node ends at the root"
        )
    if len(roots) != 1:
        raise place.mistake(
            f"nodes {roots[:3]} have no parent: a tree has one root, write the others as trees of "
            "their own"
        )


def _of_labelled(tree: LabelledTree, place: Place | None = None) -> Shape:
    """A tree with records of labels and words; a column that no node has is left out."""
    columns = {"label": tree.labels, "word": tree.words}
    columns = {name: some for name, some in columns.items() if any(some)}
    nodes = [{name: some[at] or None for name, some in columns.items()} for at in range(len(tree))]
    edges = sn.Edges.of_parents(tree.parent).index
    return Shape(place or Place(tree.path, tree.line), edges, nodes, (), {})


def _dependencies(path: Path) -> Iterator[Shape]:
    for rows in read_rows(path):
        nodes = []
        for line, fields in rows:
            record = {name: _given(fields[column]) for name, column in OF_WORDS.items()}
            feats = {f"feats.{name}": value for name, value in features_in(line, fields).items()}
            nodes.append({**record, **feats})
        edges = sn.Edges.of_parents(heads(rows)).index
        lines = [line.line for line, _ in rows]
        yield Shape(Place(path, lines[0]), edges, nodes, (), {}, lines=lines)


def _given(value: str) -> str | None:
    return None if value == NOTHING else value
