"""Taggers to compare with: a word's most frequent tag, and NLTK's averaged perceptron."""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from structnet.plugins.sequence.tagging.entities import read_entities
from structnet.plugins.sequence.tagging.measures import entity_figures
from structnet.plugins.text.sentences import Sentence

Words = Sequence[str]
Tagger = Callable[[Words], list[str]]
# A sentence's words with their tags.
Tagged = list[tuple[str, str]]
# How often the perceptron reads the training split at most, and how many words it reads in all; it
# reads a larger split once.
MOST_TIMES, MOST_WORDS = 5, 1_200_000


def taggers(train: Sequence[Tagged]) -> dict[str, Tagger]:
    """The taggers that are fitted to a training split, by name."""
    return {"most frequent tag": most_frequent(train), "perceptron (NLTK)": perceptron(train)}


def most_frequent(train: Sequence[Tagged]) -> Tagger:
    """The tag that a word has most often, and of an unknown word that of most words."""
    of_word: dict[str, Counter[str]] = defaultdict(Counter)
    for sentence in train:
        for word, tag in sentence:
            of_word[word][tag] += 1
    tags = {word: found.most_common(1)[0][0] for word, found in of_word.items()}
    ((usual, _),) = sum(of_word.values(), Counter()).most_common(1)
    return lambda words: [tags.get(word, usual) for word in words]


def perceptron(train: Sequence[Tagged]) -> Tagger:
    """NLTK's PerceptronTagger, trained here: an averaged perceptron (Collins 2002), left to right.

    Its features are the words around, their beginnings and ends, and the two tags before.
    """
    from nltk.tag.perceptron import PerceptronTagger

    words = sum(map(len, train))
    tagger = PerceptronTagger(load=False)
    # It shuffles sentences by Python's own generator.
    state = random.getstate()
    random.seed(0)
    try:
        tagger.train(train, nr_iter=max(1, min(MOST_TIMES, MOST_WORDS // words)))
    finally:
        random.setstate(state)
    return lambda words: [tag for _, tag in tagger.tag(list(words))]


def figures_of(
    tagger: Tagger, test: Sequence[Sentence], kinds: Sequence[str] | None
) -> dict[str, float]:
    """The figures of a tagger on sentences: accuracy and, with kinds of entities, theirs."""
    said = [tagger(one.words) for one in test]
    known = [
        (a, b)
        for tags, one in zip(said, test, strict=True)
        for a, b in zip(tags, one.tags, strict=True)
        if b is not None
    ]
    found = {"accuracy": sum(a == b for a, b in known) / max(1, len(known))}
    if kinds is None:
        return found
    pairs = (
        (read_entities(tags), read_entities(map(str, one.tags)))
        for tags, one in zip(said, test, strict=True)
    )
    return found | entity_figures(pairs, kinds)
