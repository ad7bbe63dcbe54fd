"""Treebanks in CoNLL-U as texts: a sentence per line, its words with spaces between them."""

from collections.abc import Sequence
from pathlib import Path

from structnet.plugins.files.splits import NO_FOLDS, SPLITS, Folds
from structnet.plugins.sequence.tagging.corpora import corpus_folder
from structnet.plugins.text.conllu import is_conllu, read_conllu
from structnet.plugins.text.corpora import read_files, split_texts
from structnet.plugins.text.sentences import find_files


def find_treebank(corpus: str, root: Path | None) -> dict[str, Path] | None:
    """The files of a treebank's splits, or a single one as `all`; None for other texts.

    FileNotFoundError where the corpus is not on this machine, ValueError for a folder of CoNLL-U
    without one file for each split.

    Arguments:
        corpus: ewt, or another corpus.
        root: a file or folder in its place.
    """
    if root is None:
        return find_files(corpus_folder("ewt")) if corpus == "ewt" else None
    if root.is_file() and is_conllu(root):
        return {"all": root}
    if not root.is_dir() or not any(map(is_conllu, root.iterdir())):
        return None
    found = find_files(root)
    if missing := [split for split in SPLITS if split not in found]:
        raise ValueError(
            f"{root} has no file of CoNLL-U for {' and '.join(missing)}: give a single file, or "
            "files named like train.conllu, dev.conllu and test.conllu"
        )
    return found


def read_treebank(files: dict[str, Path], folds: Folds = NO_FOLDS) -> dict[str, str]:
    """The text of every split."""
    texts = {split: [treebank_text(path)] for split, path in files.items()}
    return split_texts(texts, str(files.get("all") or files["train"]), folds)


def treebank_text(path: Path) -> str:
    """The sentences of a file, one per line; ValueError where there are none."""
    text = "".join(f"{' '.join(one.words)}\n" for one in read_conllu(path, None))
    if not text:
        raise ValueError(f"{path} has no sentences")
    return text


def read_paths(files: Sequence[Path], name: str) -> list[str]:
    """The texts of files, and the sentences of those in CoNLL-U; errors call them `name`."""
    if any(map(is_conllu, files)):
        return [treebank_text(path) for path in files if is_conllu(path)]
    return read_files(files, name)
