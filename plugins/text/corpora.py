"""Texts to learn from: files, folders and NLTK's corpora, in training, validation and test."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import structnet as sn
from structnet.plugins.code.sources import python_files, split_files, standard_library
from structnet.plugins.files.locate import locate
from structnet.plugins.files.splits import NO_FOLDS, SPLITS, Folds, deal, to_draw

# Shares of a single text: its first twentieth is the validation split, its last tenth the test
# split, so that the training text goes up to the test text.
VALIDATION, TEST = 0.05, 0.1
# Characters of the longest word that is not cut.
LONGEST = 200
WORD_BEFORE = re.compile(r"\S+\Z")
# The files of a folder that is split already, as those of WikiText-2.
FILES = tuple(
    (f"{name}.txt", f"{name}.txt.gz", f"wiki.{name}.tokens") for name in ("train", "valid", "test")
)


def find(corpus: str, path: Path | None, pattern: str) -> list[Path] | None:
    """The files of a corpus, or those at a path; None for corpora that are read by NLTK.

    FileNotFoundError or ValueError where there are none.
    """
    if path is not None:
        return text_files(path, pattern)
    if corpus == "python":
        return python_files(standard_library())
    if corpus == "tinyshakespeare":
        return [sn.data_folder(None, corpus, ["input.txt"]) / "input.txt"]
    if corpus == "wikitext-2":
        return locate(None, corpus, FILES)
    nltk_corpus(corpus)
    return None


def read(corpus: str, path: Path | None, pattern: str, folds: Folds = NO_FOLDS) -> dict[str, str]:
    """The text of every split of a corpus, or of what is at a path.

    Files named as in FILES are the splits; other texts are split by `split_texts`.
    """
    files, what = find(corpus, path, pattern), str(path or corpus)
    if files is None:
        return split_texts({"all": read_nltk(corpus)}, what, folds)
    if path is None and corpus == "python":
        # Shuffled, as files of one package are alike, and a limit would cut whole packages off.
        random, parts = np.random.default_rng(0), split_files({}, folds)
        for some in parts.values():
            random.shuffle(some)  # pyright: ignore[reportArgumentType]
        return {split: join(read_files(parts[split], corpus)) for split in SPLITS}
    named = [[file for file in files if file.name in names] for names in FILES]
    if all(named):
        texts = {s: read_files(some[:1], what) for s, some in zip(SPLITS, named, strict=True)}
        return split_texts(texts, what, folds)
    return split_texts({"all": read_files(files, what)}, what, folds)


def text_files(path: Path, pattern: str = "*") -> list[Path]:
    """A text file, or the files below a folder whose names match the pattern, sorted.

    Hidden files and folders are skipped. FileNotFoundError for a missing path, ValueError where
    there is no file, and for what is not a pattern.
    """
    if not path.exists():
        raise FileNotFoundError(f"no file or folder {path}; give a text file in UTF-8, or a folder")
    if not path.is_dir():
        sn.check_file(path)
        return [path]
    try:
        found = [file for file in path.rglob(pattern) if file.is_file()]
    except (NotImplementedError, ValueError) as error:
        raise ValueError(
            f"{pattern!r} is not a pattern of file names below {path}, such as *.txt: {error}"
        ) from error
    files = sorted(
        file
        for file in found
        if not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    if not files:
        raise ValueError(f"no file below {path} matches {pattern!r}; give a folder with text files")
    return files


def read_files(files: Sequence[Path], name: str) -> list[str]:
    """The texts of files in UTF-8, unpacked where names end in .gz; those without text left out.

    Line breaks of Windows become plain ones. ValueError, which calls the files `name`, where
    all are empty. Other errors are those of `sn.read_text`, which name the file, and the byte that
    is not UTF-8.
    """
    texts = [text for file in files if (text := sn.read_text(file)).strip()]
    if not texts:
        raise ValueError(f"{name} is empty: there is no text to learn from")
    return [text.replace("\r\n", "\n") for text in texts]


def nltk_corpus(name: str) -> Any:
    """One of NLTK's corpora, by its reader.

    Looked for in `nltk_data` in the folder that STRUCTNET_DATA names, and where NLTK_DATA says.
    ValueError for an unknown corpus, FileNotFoundError for one that is not on this machine.
    """
    # Imported here, as plugins are imported with torch and numpy alone.
    import nltk
    from nltk.corpus.reader.api import CorpusReader
    from nltk.corpus.util import LazyCorpusLoader

    if given := os.environ.get("STRUCTNET_DATA"):
        folder = str(Path(given).expanduser() / "nltk_data")
        if folder not in nltk.data.path:
            nltk.data.path.append(folder)
    corpus: Any = getattr(nltk.corpus, name, None)
    if not isinstance(corpus, LazyCorpusLoader | CorpusReader):
        raise ValueError(
            f"no corpus {name!r}: set task.corpus to python, tinyshakespeare, wikitext-2 or one "
            "of NLTK's such as brown; or task.root to a file or folder"
        )
    try:
        corpus.fileids()
    except LookupError as error:
        raise FileNotFoundError(
            f"NLTK's corpus {name!r} is not on this machine: python -m nltk.downloader {name}, or "
            "set the environment variable NLTK_DATA to the folder that has it"
        ) from error
    return corpus


def read_nltk(name: str) -> list[str]:
    """The texts of one of NLTK's corpora, by its files: words of tagged sentences line by line."""
    corpus = nltk_corpus(name)
    return [_nltk_text(corpus, file) for file in corpus.fileids()]


def _nltk_text(corpus: Any, file: str) -> str:
    if hasattr(corpus, "tagged_sents"):
        return "".join(f"{' '.join(sentence)}\n" for sentence in corpus.sents(file))
    return corpus.raw(file)


def split_texts(
    given: Mapping[str, Sequence[str]], name: str, folds: Folds = NO_FOLDS
) -> dict[str, str]:
    """Training, validation and test text; what is not given is drawn from `train`, or `all`.

    Where there are as many texts as splits to make, and folds, these are dealt in random order, by
    a fixed seed. Fewer are joined and cut: the last tenth, or the fold, is the test text, and the
    first twentieth of the rest validation.
    ValueError, which calls them `name`, for too little text.
    """
    splits = dict(given)
    rest, missing = to_draw(splits, folds)
    texts = list(rest)
    if not missing:
        drawn = {"train": join(texts)}
    elif len(texts) < folds.least(missing):
        drawn = _cut(join(texts), missing, folds, name)
    else:
        order = np.random.default_rng(0).permutation(len(texts))[::-1].tolist()
        parts = deal(order, missing, folds, "texts")
        drawn = {split: join([texts[at] for at in part[::-1]]) for split, part in parts.items()}
    whole = drawn | {split: join(some) for split, some in splits.items()}
    return {split: whole[split] for split in SPLITS}


def _cut(text: str, missing: Sequence[str], folds: Folds, name: str) -> dict[str, str]:
    """Stretches of a text: one that is tested on, and the beginning and the end of the rest."""
    whole, test = len(text), ""
    if "test" in missing:
        bounds = folds.bounds(whole) if folds.count else (round(whole * (1 - TEST)), whole)
        start, end = (_beside_word(text, at) for at in bounds)
        test, text = text[start:end], text[:start] + text[end:]
    begin = _beside_word(text, round(whole * VALIDATION)) if "validation" in missing else 0
    found = {"train": text[begin:], "validation": text[:begin], "test": test}
    if not all(found[split] for split in ("train", *missing)):
        raise ValueError(f"{name} has {whole} characters, too few for train, {', '.join(missing)}")
    return {split: found[split] for split in ("train", *missing)}


def _beside_word(text: str, at: int) -> int:
    """Where the word at a place, or before it, begins: so that what is cut out leaves words whole.

    Stretches of more than LONGEST characters without a space are no words, and are cut.
    """
    before = text[max(0, at - LONGEST) : at]
    if at == len(text) or not before or before[-1].isspace():
        return at
    word = WORD_BEFORE.findall(before)[0]
    return at if len(word) == len(before) else at - len(word)


def join(texts: Sequence[str]) -> str:
    """Texts one after the other, each ending its line."""
    return "".join(text if text.endswith("\n") else f"{text}\n" for text in texts[:-1]) + (
        texts[-1] if texts else ""
    )
