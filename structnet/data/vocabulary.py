"""Vocabularies: the ids of words, and how words are spelled."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from structnet.data.batch import Tokens
from structnet.topology.levels import ptr_of

# Shown for a word that is not in the vocabulary.
UNKNOWN = "?"
# Bytes before and after the text of a spelled token, which UTF-8 does not have.
BEGIN, END = 0xFE, 0xFF


class Vocabulary:
    """The ids of words, with the words' counts; id 0 is for unknown words.

    >>> words = sn.Vocabulary.count("a bad film and a good film".split(), min_count=2)
    >>> words["a"], words["film"], words["bad"], len(words)
    (1, 2, 0, 3)
    """

    def __init__(self, counts: Mapping[str, int]):
        self.counts = dict(counts)
        self._ids = {word: i for i, word in enumerate(self.counts, start=1)}

    @classmethod
    def count(cls, words: Iterable[str], min_count: int) -> "Vocabulary":
        """A vocabulary of the words that occur at least `min_count` times, by falling count."""
        counts = Counter(words)
        return cls({word: count for word, count in counts.most_common() if count >= min_count})

    def __len__(self) -> int:
        """The number of ids, including that of unknown words."""
        return 1 + len(self.counts)

    def __getitem__(self, word: str) -> int:
        return self._ids.get(word, 0)

    def extended(self, words: Iterable[str]) -> "Vocabulary":
        """The vocabulary followed by the words that it does not have, with a count of 0."""
        new = {word: 0 for word in words if word not in self.counts}
        return Vocabulary({**self.counts, **new})

    def tokens(
        self, words: Sequence[Sequence[str]], spelling: Iterable[str] | None = None
    ) -> Tokens:
        """The tokens of nodes.

        Arguments:
            words: the words of each node, as the vocabulary has them.
            spelling: for nets that read characters, how all these words are written, one after the
                other; None for tokens without spelling.
        """
        ids = self._ids
        flat = [ids.get(word, 0) for bag in words for word in bag]
        counts = np.fromiter(map(len, words), np.int64, len(words))
        spelled = None if spelling is None else _spelled(spelling, len(flat))
        return Tokens(np.array(flat, np.int64), ptr_of(counts), spelled)

    def words(self, tokens: Tokens) -> list[list[str]]:
        """The words of every node, with UNKNOWN for those that were not in the vocabulary."""
        known = [UNKNOWN, *self.counts]
        flat = [known[i] for i in tokens.ids.tolist()]
        return [flat[a:b] for a, b in pairwise(tokens.ptr.tolist())]


def _spelled(words: Iterable[str], count: int) -> Tokens:
    """The bytes of words; ValueError unless there are as many as tokens."""
    # A word may hold half of a surrogate pair, as a file's name does.
    texts = [word.encode("utf-8", "surrogatepass") for word in words]
    if len(texts) != count:
        raise ValueError(f"{len(texts)} words are spelled for {count} tokens: give one for each")
    begin, end = bytes([BEGIN]), bytes([END])
    ids = np.frombuffer(b"".join(begin + text + end for text in texts), np.uint8)
    return Tokens(ids, ptr_of([len(text) + 2 for text in texts]))
