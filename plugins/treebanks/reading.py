"""Trees from files, from NLTK's sample, and from objects in memory."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from structnet.plugins.code.grammars import programs
from structnet.plugins.files.lines import Line, read_lines
from structnet.plugins.text.conllu import is_conllu
from structnet.plugins.text.corpora import nltk_corpus
from structnet.plugins.text.sentences import find_files
from structnet.plugins.treebanks.brackets import read_treebank
from structnet.plugins.treebanks.dependencies import read_dependencies
from structnet.plugins.treebanks.json_trees import read_json
from structnet.plugins.treebanks.programs import read_programs
from structnet.plugins.treebanks.tree import LabelledTree, in_preorder

Kind = Literal["brackets", "conllu", "json"]
BRACKETS = (".mrg", ".ptb", ".prd", ".parse", ".penn", ".tree", ".trees", ".txt")
JSON = (".json", ".jsonl")
NAMES = f"{', '.join(BRACKETS)} (brackets), .conllu or {' or '.join(JSON)}, also with .gz"


def kind_of(path: Path) -> Kind | None:
    """What trees a file has, by its name; None for other files."""
    name = path.name.removesuffix(".gz").lower()
    if is_conllu(path):
        return "conllu"
    if name.endswith(JSON):
        return "json"
    return "brackets" if name.endswith(BRACKETS) else None


def find_splits(given: Mapping[str, Path], language: str | None = None) -> dict[str, list[Path]]:
    """The files of each split, of paths by split; those of `all` as by `find_trees`."""
    if "all" in given:
        return find_trees(given["all"], language)
    return {split: tree_files(path, language) for split, path in given.items()}


def find_trees(root: Path, language: str | None = None) -> dict[str, list[Path]]:
    """The files of each split; of `all`, where the names of a folder's files do not say splits.

    With a language, these are source files. FileNotFoundError if there is nothing there; ValueError
    for a file of another name, and a folder without files of trees, or with files of CoNLL-U beside
    others.
    """
    if language is not None:
        return {"all": programs(root, language)}
    if not root.is_dir():
        found = {split: [path] for split, path in find_files(root).items()}
        if kind_of(root) is None:
            raise ValueError(
                f"{root}: the name of a file with trees ends in {NAMES}; source code is read with "
                "task.language=python, or another one"
            )
        return found
    if any("train" in path.name.lower() and kind_of(path) for path in root.iterdir()):
        return {split: [path] for split, path in find_files(root).items() if kind_of(path)}
    return {"all": tree_files(root)}


def tree_files(root: Path, language: str | None = None) -> list[Path]:
    """A file, or the files of trees below a folder, sorted; raises what `find_trees` does."""
    if language is not None or not root.is_dir():
        return find_trees(root, language)["all"]
    every = (path for path in sorted(root.rglob("*")) if path.is_file() and kind_of(path))
    every = [p for p in every if not any(one[0] == "." for one in p.relative_to(root).parts)]
    # Beside files of trees, those in .txt are licences and the like.
    files = [path for path in every if ".txt" not in path.suffixes] or every
    if not files:
        raise ValueError(
            f"no file below {root} has trees: names end in {NAMES}; source code is read with "
            "task.language=python, or another one"
        )
    if len({kind_of(path) == "conllu" for path in files}) > 1:
        raise ValueError(
            f"{root} has dependency trees in CoNLL-U beside other trees: give one or the other"
        )
    return files


def read_files(files: Iterable[Path], language: str | None = None) -> Iterator[LabelledTree]:
    """The trees of files; those of source code, if a language is given."""
    if language is not None:
        return read_programs(files, language)
    return chain.from_iterable(map(read_trees, files))


def read_trees(path: Path) -> Iterator[LabelledTree]:
    """The trees of a file, in the format that its name says.

    ValueError names file, line and column of a malformed tree.
    """
    kind = kind_of(path)
    if kind == "conllu":
        return read_dependencies(path)
    return read_json(path) if kind == "json" else read_treebank(read_lines(path))


def read_sample() -> Iterator[LabelledTree]:
    """The sample of the Penn Treebank that NLTK has, 3,914 trees of 199 files.

    FileNotFoundError where it is not on this machine.
    """
    corpus = nltk_corpus("treebank")
    for file in corpus.fileids():
        path = Path(str(corpus.abspath(file)))
        lines = corpus.raw(file).replace("\r\n", "\n").split("\n")
        yield from read_treebank(Line(path, n, text) for n, text in enumerate(lines, start=1))


def of_nltk(tree: Any) -> LabelledTree:
    """The labels and words of an nltk.Tree, its nodes those of topology `tree` and its words.

    ValueError for a word beside other children, which has no node of its own.
    """
    labels: list[str] = []
    words: list[str] = []
    parent: list[int] = []
    open_ = [(tree, -1)]
    while open_:
        node, above = open_.pop()
        inner = [one for one in node if hasattr(one, "label")]
        leaves = [one for one in node if not hasattr(one, "label")]
        if len(leaves) > 1 or (leaves and inner) or not (leaves or inner):
            raise ValueError(
                f"node {len(labels)}, {str(node.label())!r}, has {len(leaves)} words and "
                f"{len(inner)} nodes below it: a node has one word, or nodes"
            )
        open_.extend((child, len(labels)) for child in reversed(inner))
        parent.append(above)
        labels.append(str(node.label()))
        words.append(str(leaves[0]) if leaves else "")
    return in_preorder(Path("nltk.Tree"), 1, labels, words, parent)


def of_networkx(graph: Any) -> LabelledTree:
    """The labels and words of a networkx graph, its edges from child to parent.

    They are the attributes `label` and `word` of its nodes, either of which may be missing.
    ValueError for a graph that is not a tree.
    """
    number = {node: at for at, node in enumerate(graph.nodes)}
    parent = [-1] * len(number)
    for child, above in graph.edges():
        if parent[number[child]] >= 0:
            raise ValueError(f"node {child!r} has two edges that leave it, to its parent")
        parent[number[child]] = number[above]
    data = [graph.nodes[node] for node in graph.nodes]
    labels, words = ([str(one.get(key) or "") for one in data] for key in ("label", "word"))
    return in_preorder(Path("networkx"), 1, labels, words, parent)
