"""The trees of the splits: one file each, files that are drawn from, or NLTK's sample."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from structnet.plugins.files.splits import NO_FOLDS, SPLITS, Folds, to_draw
from structnet.plugins.text.conllu import is_conllu
from structnet.plugins.text.splitting import draw_splits
from structnet.plugins.treebanks.reading import read_files, read_sample
from structnet.plugins.treebanks.tree import LabelledTree

Change = Callable[[Iterable[LabelledTree]], Iterator[LabelledTree]]


def split_trees(
    files: Mapping[str, list[Path]] | None,
    change: Change,
    seed: int,
    language: str | None = None,
    folds: Folds = NO_FOLDS,
) -> dict[str, list[LabelledTree]]:
    """The trees of train, validation and test.

    Of splits that are missing, each takes a tenth of the trees, drawn by their words. ValueError
    for a file without trees, for files with dependency trees beside others, and for too few trees.

    Arguments:
        files: of each split, or `all`, as `find_splits` gives them; None for NLTK's sample.
        change: what is done to the trees.
        seed: which trees are drawn.
        language: of source code; None for treebanks.
        folds: into which trees are divided.
    """
    if files is None:
        given = {"all": list(change(read_sample()))}
    else:
        given = {}
        kinds = {file: is_conllu(file) for some in files.values() for file in some}
        if len(set(kinds.values())) > 1:
            raise ValueError(f"{min(kinds)} has other trees than those of the other splits")
        for split, some in files.items():
            given[split] = list(change(read_files(some, language)))
            if not given[split]:
                raise ValueError(f"{some[0]} has no trees")
    return draw_trees(given, seed, folds)


def draw_trees(
    given: dict[str, list[LabelledTree]], seed: int, folds: Folds = NO_FOLDS
) -> dict[str, list[LabelledTree]]:
    """The trees of train, validation and test, of which those of splits, or of `all`, are given.

    ValueError, naming the file, for too few trees.
    """
    rest, missing = to_draw(given, folds)
    try:
        where = draw_splits([tree.text for tree in rest], missing, seed, folds)
    except ValueError as error:
        raise ValueError(
            f"{rest[0].path} has trees over {error}: give more, or a file for each split"
        ) from error
    for split, tree in zip(where, rest, strict=True):
        given.setdefault(split, []).append(tree)
    return {split: given[split] for split in SPLITS}
