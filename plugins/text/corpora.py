"""Texts to learn from: files, folders and NLTK's corpora, in training, validation and test."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import structnet as sn
from structnet.plugins.code.sources import python_files, split_files, standard_library
from structnet.plugins.files.locate import locate

SPLITS = ("train", "validation", "test")
# Shares of a single text: its first twentieth is the validation split, its last tenth the test
# split, so that the training text goes up to the test text.
VALIDATION, TEST = 0.05, 0.1
# The files of a folder that is split already, as those of WikiText-2.
FILES = tuple(
    (f"{name}.txt", f"{name}.txt.gz", f"wiki.{name}.tokens") for name in ("train", "valid", "test")
)


def find(corpus: str, path: str | None, pattern: str) -> list[Path] | None:
    """The files of a corpus, or those at a path; None for corpora that are read by NLTK.

    FileNotFoundError or ValueError where there are none.
    """
    if path is not None:
        return text_files(Path(path).expanduser(), pattern)
    if corpus == "python":
        return python_files(standard_library())
    if corpus == "tinyshakespeare":
        return [sn.data_folder(None, corpus, ["input.txt"]) / "input.txt"]
    if corpus == "wikitext-2":
        return locate(None, corpus, FILES)
    nltk_corpus(corpus)
    return None


def read(corpus: str, path: str | None, pattern: str) -> dict[str, str]:
    """The text of every split of a corpus, or of what is at a path.

    Files named as in FILES are the splits; other texts are split by `split_texts`.
    """
    files, what = find(corpus, path, pattern), path or corpus
    if files is None:
        return split_texts(read_nltk(corpus), what)
    if path is None and corpus == "python":
        # Shuffled, as files of one package are alike, and a limit would cut whole packages off.
        random, parts = np.random.default_rng(0), split_files(None)
        for some in parts.values():
            random.shuffle(some)  # pyright: ignore[reportArgumentType]
        return {split: join(read_files(parts[split], corpus)) for split in SPLITS}
    named = [[file for file in files if file.name in names] for names in FILES]
    if all(named):
        texts = [join(read_files(some[:1], what)) for some in named]
        return dict(zip(SPLITS, texts, strict=True))
    return split_texts(read_files(files, what), what)


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


def split_texts(texts: Sequence[str], name: str) -> dict[str, str]:
    """Training, validation and test text.

    Of three texts and more a random tenth each, by a fixed seed, makes validation and test; fewer
    are joined and cut, the first twentieth for validation, the last tenth for the test.
    ValueError, which calls them `name`, for too little text.
    """
    if len(texts) >= 3:
        order = np.random.default_rng(0).permutation(len(texts))
        tenth = max(1, len(texts) // 10)
        parts = np.split(order, [len(texts) - 2 * tenth, len(texts) - tenth])
        return {
            split: join([texts[int(i)] for i in part])
            for split, part in zip(SPLITS, parts, strict=True)
        }
    text = join(texts)
    begin, end = round(len(text) * VALIDATION), round(len(text) * (1 - TEST))
    if not 0 < begin < end < len(text):
        raise ValueError(
            f"{name} has {len(text)} characters, too few for training, validation and test"
        )
    parts = text[begin:end], text[:begin], text[end:]
    return dict(zip(SPLITS, parts, strict=True))


def join(texts: Sequence[str]) -> str:
    """Texts one after the other, each ending its line."""
    return "".join(text if text.endswith("\n") else f"{text}\n" for text in texts[:-1]) + (
        texts[-1] if texts else ""
    )
