"""Corpora of NLTK with two classes."""

from pathlib import Path
from typing import Literal

from structnet.plugins.sequence.classify.texts import Text
from structnet.plugins.text.corpora import nltk_corpus

Corpus = Literal["sentence_polarity", "movie_reviews"]
LABELS = {"neg": "negative", "pos": "positive"}


def read_corpus(name: str) -> list[Text]:
    """The texts of a corpus: the sentences of sentence_polarity, the files of movie_reviews."""
    corpus, texts = nltk_corpus(name), []
    for file in corpus.fileids():
        (category,) = corpus.categories(file)
        path, raw = Path(str(corpus.abspath(file))), corpus.raw(file)
        lines = enumerate(raw.split("\n"), 1) if name == "sentence_polarity" else [(1, raw)]
        label = LABELS[category]
        texts += [Text(path, number, text, label) for number, text in lines if text.strip()]
    return texts
