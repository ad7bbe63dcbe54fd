"""Bidirectional language models."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

import structnet as sn
from structnet.plugins.sequence.language.coding import EOS, Tokens
from structnet.plugins.sequence.language.measures import measures
from structnet.plugins.sequence.language.sentences import (
    DIRECTIONS,
    Sentences,
    bordered,
    pieces,
)
from structnet.plugins.sequence.language.task import TextTask
from structnet.plugins.sequence.topology import sides


@sn.tasks.register("bidirectional_text")
class BidirectionalText(TextTask):
    """The next word of a sentence, and the word before: what ELMo's states are learned from.

    A forward and a backward language model trained together (Peters et al. 2018, section 3.1): each
    has layers of its own, embeddings and softmax are the same for both. A line of the text is a
    sample that stands alone, between two `<eos>`. "perplexity" is that per word in both directions;
    "words", the number that the mean is over, counts every word in each, and an end of the line.

    Arguments:
        tokens: what a line is split into: at spaces; words, numbers and signs (words); by NLTK's
            tokenisers treebank, wordpunct and tweet; characters; or subwords learned from the
            training split.
        max_length: lines of more tokens are read in pieces of as many, each a sample; null for
            whole lines.
    """

    apart = True
    border = EOS

    def __init__(
        self,
        *,
        tokens: Tokens = "spaces",
        corpus: str = "wikitext-2",
        max_length: int | None = None,
        ngram: int = 3,
        **options: Any,
    ):
        super().__init__(tokens=tokens, corpus=corpus, ngram=ngram, **options)
        self.check_counts(max_length=max_length)
        self.max_length = max_length

    def commands(self, topology: sn.Topology) -> Iterator[Sequence[str]]:
        yield "embed", "file=FILE", "out=vectors.npz"
        yield from super().commands(topology)

    def check(self, topology: sn.Topology) -> None:
        super().check(topology)
        if sides(topology) != [(True, False), (False, True)]:
            raise ValueError(
                f"{sn.tasks.called(self)} is learned forward in one direction and backward in the "
                f"other, which {sn.topologies.called(topology)} is not read in: take "
                "topology=bichain"
            )

    def scores_nodes(self, topology: sn.Topology) -> bool:
        return True

    def readout(self, topology: sn.Topology) -> str:
        return "directions"

    def load(self, topology: sn.Topology) -> sn.Splits:
        texts, learned = self.texts(), {}
        if self.vocabulary is None:
            vocabulary, learned = self.learn(texts["train"])
            self.know(vocabulary, learned)
        splits = {split: self._sentences(text, split) for split, text in texts.items()}
        return sn.Splits(
            splits,
            vocabulary=self.vocabulary,
            source={split: one.tokens.ids for split, one in splits.items()},
            **learned,
        )

    def learn(self, text: str) -> tuple[sn.Vocabulary, dict[str, Any]]:
        known, learned = super().learn(text)
        # Lines have no breaks within, and their ends are known whatever they are split into.
        counts = {token: n for token, n in known.counts.items() if token not in (EOS, "\n")}
        return sn.Vocabulary({EOS: text.count("\n") + 1, **counts}), learned

    def _sentences(self, text: str, split: str) -> Sentences:
        tokens, borders = bordered(pieces(text, self.coder, self.max_length))
        if len(borders) < 2:
            raise ValueError(f"the {split} split has no {self.coder.unit}s: all lines are blank")
        assert self.vocabulary is not None
        # How words are written, for nets that read their characters.
        spelling = tokens if self.coder.unit == "word" else None
        return Sentences(self.vocabulary.tokens([tokens], spelling), borders)

    def loss(self, output: Any, batch: sn.Batch) -> Tensor:
        if len(output) != len(batch.y):
            raise ValueError(
                f"{sn.tasks.called(self)} has two targets for every word, one in each direction: "
                "take readout=directions, the default"
            )
        return super().loss(output, batch)

    def sample_output(self, output: Any, batch: sn.Batch) -> Any:
        """The scores as they are: a sample has no class."""
        return output

    def metrics(self) -> dict[str, Any]:
        unit = self.coder.unit
        apart = {f"perplexity_{one}": measures(unit)["perplexity"] for one in DIRECTIONS}
        return super().metrics() | apart

    def measured(self, output: Any, batch: sn.Batch) -> dict[str, tuple[Tensor, Tensor]]:
        found = super().measured(output, batch)
        nats, weights = found["perplexity"]
        direction = (batch.y != sn.IGNORE).nonzero()[:, 0] % len(DIRECTIONS)
        for at, name in enumerate(DIRECTIONS):
            mine = direction == at
            found[f"perplexity_{name}"] = nats[mine], weights[mine]
        return found

    def characters(self, token: str) -> int:
        if token == EOS:
            # A word is counted with the space or the end of the line that follows.
            return int(self.coder.unit != "word")
        return super().characters(token)

    def streams(self, split: str) -> list[NDArray[np.int64]]:
        """The text, forward and backward. Unlike the net, n-grams see beyond a line's ends."""
        ids = self.loaded.source[split]
        return [ids, ids[::-1]]
