"""The files of trees or graphs at a path, and what is read of each."""

from collections.abc import Callable, Iterator
from pathlib import Path

from structnet.plugins.shapes import graph_tables, graphs, tu_folder
from structnet.plugins.shapes.graphml import read_graphml
from structnet.plugins.shapes.json_lines import LINES
from structnet.plugins.shapes.shape import Shape
from structnet.plugins.shapes.trees import read_trees
from structnet.plugins.treebanks.reading import kind_of

JSON = (*LINES, ".json")
# Files that hold code to be run, or may.
PICKLES = (".pickle", ".pkl", ".gpickle", ".p", ".pt", ".pth", ".joblib")
Reader = Callable[[], Iterator[Shape]]


def find(path: Path, trees: bool) -> dict[str, Reader]:
    """What reads each file of a path, or each folder of tables, by its name.

    FileNotFoundError for a path that is not there; ValueError for pickles, and for a path without
    files of a format that is known.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"no file or folder {str(path)!r}; set task.root to one that exists"
        )
    if not path.is_dir():
        reader = _reader(path, trees)
        if reader is None:
            raise ValueError(f"{path}: {_formats(trees)}")
        return {path.name: reader}
    if not trees and (one := _folder(path)):
        return {path.name: one}
    found: dict[str, Reader] = {}
    for inner in sorted(path.rglob("*")):
        name = inner.relative_to(path)
        # Of a data set, its folder raw is read with it.
        if any(part.startswith(".") for part in name.parts) or str(name.parent) in found:
            continue
        reader = _reader(inner, trees) if inner.is_file() else None if trees else _folder(inner)
        if reader is not None:
            found[str(name)] = reader
    # Beside files of trees, those in .txt are licences and the like.
    plain = {name: one for name, one in found.items() if ".txt" not in Path(name).suffixes}
    if not found:
        raise ValueError(f"{path} has no such file: {_formats(trees)}")
    return plain or found


def _folder(path: Path) -> Reader | None:
    if (start := tu_folder.find_name(path)) is not None:
        return lambda: tu_folder.read_tu(start)
    return (
        None if graph_tables.find_tables(path) is None else lambda: graph_tables.read_graphs(path)
    )


def _reader(path: Path, trees: bool) -> Reader | None:
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(PICKLES):
        raise ValueError(
            f"{path} is a pickle, which runs whatever code its writer put into it, so it is not "
            "read: "
            + ("write objects in JSON" if trees else "write it with networkx.write_graphml, or in "
               "JSON with networkx.node_link_data")
        )  # fmt: skip
    if trees:
        is_tree = kind_of(path) is not None or name.endswith(JSON)
        return (lambda: read_trees(path)) if is_tree else None
    # A table of the folder, unless it has none of edges.
    if Path(name).stem in graph_tables.NAMES and graph_tables.find_tables(path.parent) is not None:
        return None
    if name.endswith(JSON):
        return lambda: graphs.read_graphs(path)
    return (lambda: read_graphml(path)) if name.endswith((".graphml", ".xml")) else None


def _formats(trees: bool) -> str:
    if trees:
        return (
            "trees are in files .jsonl, .ndjson or .json, .conllu, or in brackets .txt, .mrg or "
            ".trees, also with .gz"
        )
    return (
        "graphs are in files .jsonl, .ndjson or .json, or .graphml, also with .gz, in a folder "
        "with nodes.csv and edges.csv, or in one as TUDataset has it, with NAME_A.txt"
    )
