"""Classification of molecules as graphs of tagged atoms: MUTAG and NCI1."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.files.locate import locate
from structnet.plugins.graph.molecules.tagged import TaggedGraph, read_graphs, read_indices

FOLDS = 10
FOLD_FILE = "10fold_idx/test_idx-{}.txt"


class TaggedGraphs(sn.Task):
    """The class of undirected graphs with a tag at every node, tested on one of ten folds.

    The data are `file`, or the same under gzip. The graphs of `fold` are the test split: those of
    10fold_idx/test_idx-FOLD.txt where `given` is true, else of stratified folds by a fixed seed. A
    stratified ninth of the other graphs is validation, so that nothing is chosen by the test fold.

    Arguments:
        root: the folder of the file; null is `place` in the folder that STRUCTNET_DATA names.
        fold: the fold, from 1 to 10, that is the test split.
    """

    structures = ("undirected",)
    learned = ("classes",)
    # The file, its folder, and whether that has the folds as well.
    file: str
    place: str
    given: bool

    def __init__(self, *, root: str | None = None, fold: int = 1):
        if not 1 <= fold <= FOLDS:
            raise ValueError(f"option 'fold' is from 1 to {FOLDS}, got {fold}")
        self.root, self.fold = root, fold

    def readout(self, topology: sn.Topology) -> str:
        return "mean"

    def find(self) -> Path:
        (path,) = locate(self.root, self.place, [(self.file, f"{self.file}.gz")])
        if self.given:
            sn.data_folder(str(path.parent), self.place, [FOLD_FILE.format(self.fold)])
        return path

    def load(self, topology: sn.Topology) -> sn.Splits:
        path = self.find()
        graphs = list(read_graphs(path))
        if len(graphs) < FOLDS:
            raise ValueError(f"{path} has {len(graphs)} graphs, expected {FOLDS} or more")
        classes = self.classes or sorted({graph.label for graph in graphs})
        labels = np.array([_class(graph, classes) for graph in graphs])
        test = self._test(path, labels)
        rest = np.setdiff1d(np.arange(len(graphs)), test)
        if len(rest) < FOLDS - 1:
            raise ValueError(
                f"fold {self.fold} leaves {len(rest)} of the {len(graphs)} graphs of {path} to "
                f"learn from, expected {FOLDS - 1} or more"
            )
        train, validation = _folds(labels[rest], FOLDS - 1, self.fold)
        chosen = {"train": rest[train], "validation": rest[validation], "test": test}
        vocabulary = self.vocabulary
        if vocabulary is None:
            tags = (tag for i in chosen["train"] for tag in graphs[i].tags)
            vocabulary = sn.Vocabulary.count(tags, 1)
        splits = {
            split: [_sample(graphs[i], int(labels[i]), vocabulary) for i in some]
            for split, some in chosen.items()
        }
        source = {split: [graphs[i] for i in some] for split, some in chosen.items()}
        return sn.Splits(splits, vocabulary=vocabulary, source=source, classes=classes)

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        """Graphs in the format of the data; their labels are ignored."""
        assert self.vocabulary is not None
        for graph in read_graphs(path):
            yield _sample(graph, sn.IGNORE, self.vocabulary)

    def baselines(self) -> dict[str, dict[str, float]]:
        """The most frequent class, and logistic regression on the counts of the tags."""
        from structnet.plugins.baselines.features import fit_classes

        assert self.vocabulary is not None
        column = {tag: i for i, tag in enumerate(self.vocabulary.counts)}

        def table(split: str) -> tuple[NDArray, NDArray]:
            some = self.loaded.source[split]
            counts = np.zeros((len(some), 1 + len(column)))
            for row, graph in zip(counts, some, strict=True):
                np.add.at(row, [column.get(tag, len(column)) for tag in graph.tags], 1)
            return counts, np.array([_class(graph, self.classes) for graph in some])

        return fit_classes(table("train"), table("test"), "bag of tags")

    def _test(self, path: Path, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        if not self.given:
            return _folds(labels, FOLDS, self.fold)[1]
        file = FOLD_FILE.format(self.fold)
        return read_indices(
            sn.data_folder(str(path.parent), self.place, [file]) / file, len(labels)
        )


def _class(graph: TaggedGraph, classes: Sequence[str]) -> int:
    if graph.label not in classes:
        raise graph.origin.refuse(graph.label, f"a label of {list(classes)}")
    return list(classes).index(graph.label)


def _sample(graph: TaggedGraph, label: int, vocabulary: sn.Vocabulary) -> sn.Sample:
    x = vocabulary.tokens([(tag,) for tag in graph.tags])
    structure = sn.Edges(graph.edges, len(graph.tags))
    return sn.Sample(structure, x, label, origin=graph.origin)


def _folds(
    labels: NDArray[np.int64], count: int, which: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The indices outside and inside stratified fold `which` of `count`, counted cyclically."""
    from sklearn.model_selection import StratifiedKFold

    folds = StratifiedKFold(count, shuffle=True, random_state=0)
    return list(folds.split(labels, labels))[(which - 1) % count]


@sn.tasks.register("mutag")
class MUTAG(TaggedGraphs):
    """Whether a molecule is mutagenic to bacteria; 188 molecules, over ten given folds.

    Debnath et al. (1991), in the file and the folds of Xu et al. (2019): MUTAG.txt and
    10fold_idx/test_idx-FOLD.txt in `root`, or in molecules/mutag/ of the folder that STRUCTNET_DATA
    names. `fold` is the test split, a stratified ninth of the others validation.
    """

    file, place, given = "MUTAG.txt", "molecules/mutag", True


@sn.tasks.register("nci1")
class NCI1(TaggedGraphs):
    """Whether a chemical compound slows the growth of lung tumours; 4,110 compounds, ten folds.

    Wale et al. (2008), in the file of Xu et al. (2019): NCI1.txt in `root`, or in molecules/nci1/
    of the folder that STRUCTNET_DATA names. The ten stratified folds are our own; `fold` is the
    test split, a stratified ninth of the others validation.
    """

    file, place, given = "NCI1.txt", "molecules/nci1", False
