"""Language models of words."""

from collections import Counter
from pathlib import Path
from typing import Any, Literal

import structnet as sn
from structnet.plugins.files.lines import read_lines
from structnet.plugins.sequence.language.coding import UNKNOWN
from structnet.plugins.sequence.language.model import LanguageModel


@sn.tasks.register("words")
class Words(LanguageModel):
    """The next word of a text, and `<eos>` where a line ends.

    By default that of WikiText-2, with the vocabulary of its training split. Words that are not in
    the vocabulary are `<unk>`. "perplexity" is that per word, ends of lines included.

    Arguments:
        tokens: what a line is split into: at spaces; words, numbers and signs (words); by NLTK's
            tokenisers treebank, wordpunct and tweet; or subwords learned from the training split.
        vocabulary_file: a text file of the known words, one per line, in place of those of the
            training split.
    """

    def __init__(
        self,
        *,
        tokens: Literal["spaces", "words", "treebank", "wordpunct", "tweet", "subwords"] = "spaces",
        corpus: str = "wikitext-2",
        window: int = 70,
        vocabulary_file: str | None = None,
        **options: Any,
    ):
        super().__init__(tokens=tokens, corpus=corpus, window=window, **options)
        if vocabulary_file is not None and tokens == "subwords":
            raise ValueError("sub-words are learned: leave out task.vocabulary_file")
        self.vocabulary_file = vocabulary_file

    def find(self) -> Any:
        if self.vocabulary_file is not None:
            sn.check_file(Path(self.vocabulary_file).expanduser())
        return super().find()

    def learn(self, text: str) -> tuple[sn.Vocabulary, dict[str, Any]]:
        if self.vocabulary_file is None:
            return super().learn(text)
        counts = Counter(self.coder.split(text))
        known: dict[str, int] = {}
        for line in read_lines(Path(self.vocabulary_file).expanduser()):
            word = line.text
            if len(word.split()) != 1 or word in known:
                raise line.refuse(word, "a word that no line before has, without spaces")
            if word != UNKNOWN:
                known[word] = counts[word]
        if not known:
            raise ValueError(f"{self.vocabulary_file} has no words: give one per line")
        return sn.Vocabulary(known), {}
