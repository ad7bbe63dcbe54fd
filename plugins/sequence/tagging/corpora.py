"""Corpora by name: NLTK's tagged sentences, and files in the folder that STRUCTNET_DATA names."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import structnet as sn
from structnet.plugins.text.corpora import nltk_corpus
from structnet.plugins.text.sentences import Sentence

Corpus = Literal["ewt", "wnut17", "treebank", "brown", "masc_tagged"]
Tagset = Literal["own", "universal"]
# Folders of STRUCTNET_DATA, and the file for training in them.
FOLDERS = {
    "ewt": ("ud/UD_English-EWT", "en_ewt-ud-train.conllu.gz"),
    "wnut17": ("wnut17", "wnut17train.conll"),
}
# The maps of the tags of NLTK's corpora to the universal ones.
MAPS = {"treebank": "en-ptb", "brown": "en-brown", "masc_tagged": "en-ptb"}
# The tag of what the Penn Treebank has in place of words that are not written.
TRACE = "-NONE-"


def corpus_folder(name: Corpus) -> Path:
    """The folder of a corpus that is not of NLTK.

    FileNotFoundError where it is not in the folder that STRUCTNET_DATA names.
    """
    folder, file = FOLDERS[name]
    return sn.data_folder(None, folder, [file])


def read_nltk(name: Corpus, tagset: Tagset) -> Iterator[Sentence]:
    """The sentences of one of NLTK's corpora, without the traces of the Penn Treebank.

    Raises the errors of `find_nltk`.

    Arguments:
        name: the corpus.
        tagset: own, the corpus's tags; or universal, the twelve of Petrov et al. (2012).
    """
    corpus, tags = find_nltk(name, tagset)
    for file in corpus.fileids():
        path = Path(str(corpus.abspath(file)))
        for number, tagged in enumerate(corpus.tagged_sents(file), 1):
            pairs = [(word, tag) for word, tag in tagged if tag != TRACE and word.strip()]
            if pairs:
                words, found = zip(*pairs, strict=True)
                if tags is not None:
                    found = tuple(tag and tags[tag] for tag in found)
                known = tuple(tag or None for tag in found)
                yield Sentence(path, words, known, (number,) * len(words), "sentence")


def find_nltk(name: Corpus, tagset: Tagset) -> tuple[Any, Mapping[str, str] | None]:
    """One of NLTK's corpora by its reader, and the map of its tags; None where they stay.

    FileNotFoundError for one that is not on this machine.
    """
    corpus = nltk_corpus(name)
    if tagset == "own":
        return corpus, None
    # Imported here, as plugins are imported with torch and numpy alone.
    from nltk.tag.mapping import tagset_mapping

    try:
        return corpus, tagset_mapping(MAPS[name], "universal")
    except LookupError as error:
        raise FileNotFoundError(
            "NLTK's maps to universal tags are not on this machine: python -m nltk.downloader "
            "universal_tagset, or leave out task.tagset"
        ) from error
