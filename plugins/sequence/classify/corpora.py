"""Corpora of NLTK with two classes, read where they are, in a zip file or unpacked."""

import os
from pathlib import Path
from typing import Any, Literal

from structnet.plugins.sequence.classify.texts import Text

Corpus = Literal["sentence_polarity", "movie_reviews"]
# The files of each, and the class in their names.
FILES = {
    "sentence_polarity": r"rt-polarity\.(neg|pos)",
    "movie_reviews": r"(neg|pos)/.*\.txt",
}
LABELS = {"neg": "negative", "pos": "positive"}


def find_corpus(name: str) -> Any:
    """NLTK's pointer to a corpus: in NLTK_DATA, nltk_data in STRUCTNET_DATA, or NLTK's own places.

    FileNotFoundError names the places, and how to get the corpus.
    """
    # Imported here, as plugins are imported with torch and numpy alone.
    import nltk

    given = [one for one in os.environ.get("NLTK_DATA", "").split(os.pathsep) if one]
    if data := os.environ.get("STRUCTNET_DATA"):
        given.append(str(Path(data).expanduser() / "nltk_data"))
    # NLTK reads files in the folders of this list alone.
    nltk.data.path[:] = [*given, *(one for one in nltk.data.path if one not in given)]
    for place in (f"corpora/{name}", f"corpora/{name}.zip/{name}/"):
        try:
            return nltk.data.find(place)
        except LookupError as error:
            reason = error
    if "Refused, writable by other accounts" in str(reason):
        raise PermissionError(f"NLTK: {' '.join(str(reason).split())}") from reason
    raise FileNotFoundError(
        f"no corpus {name!r} of NLTK in {', '.join(nltk.data.path)}: get it with python -m "
        f"nltk.downloader {name}, or name the folder that holds corpora/{name}.zip in NLTK_DATA"
    )


def read_corpus(name: str) -> list[Text]:
    """The texts of a corpus: the sentences of sentence_polarity, the files of movie_reviews."""
    from nltk.corpus.reader import CategorizedPlaintextCorpusReader

    root = find_corpus(name)
    pattern = FILES[name]
    reader = CategorizedPlaintextCorpusReader(root, pattern, cat_pattern=pattern, encoding="utf-8")
    texts = []
    for file in reader.fileids():
        (label,) = reader.categories(file)
        path, raw = Path(str(root.join(file))), reader.raw(file)
        lines = enumerate(raw.split("\n"), 1) if name == "sentence_polarity" else [(1, raw)]
        texts += [Text(path, number, text, LABELS[label]) for number, text in lines if text.strip()]
    return texts
