"""Treebanks in CoNLL-U as texts: a sentence per line, its words with spaces between them."""

from pathlib import Path

from structnet.plugins.sequence.tagging.corpora import corpus_folder
from structnet.plugins.text.conllu import is_conllu, read_conllu
from structnet.plugins.text.corpora import SPLITS, split_texts
from structnet.plugins.text.sentences import find_files


def find_treebank(corpus: str, root: str | None) -> dict[str, Path] | None:
    """The files of a treebank's splits, or a single one as `all`; None for other texts.

    FileNotFoundError where the corpus is not on this machine, ValueError for a folder of CoNLL-U
    without one file for each split.

    Arguments:
        corpus: ewt, or another corpus.
        root: a file or folder in its place.
    """
    if root is None:
        return find_files(corpus_folder("ewt")) if corpus == "ewt" else None
    path = Path(root).expanduser()
    if path.is_file() and is_conllu(path):
        return {"all": path}
    if not path.is_dir() or not any(map(is_conllu, path.iterdir())):
        return None
    found = find_files(path)
    if missing := [split for split in SPLITS if split not in found]:
        raise ValueError(
            f"{path} has no file of CoNLL-U for {' and '.join(missing)}: give a single file, or "
            "files named like train.conllu, dev.conllu and test.conllu"
        )
    return found


def read_treebank(files: dict[str, Path]) -> dict[str, str]:
    """The text of every split."""
    texts = {split: _text(path) for split, path in files.items()}
    return split_texts([texts["all"]], str(files["all"])) if "all" in texts else texts


def _text(path: Path) -> str:
    text = "".join(f"{' '.join(one.words)}\n" for one in read_conllu(path, None))
    if not text:
        raise ValueError(f"{path} has no sentences")
    return text
