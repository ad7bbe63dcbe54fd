"""Language models of characters and sub-words."""

from typing import Any, Literal

import structnet as sn
from structnet.plugins.sequence.language.model import LanguageModel


@sn.tasks.register("text")
class Text(LanguageModel):
    """The next character of a text, or the next sub-word.

    By default that of Python's standard library. Loss in nats per token; "perplexity" is that per
    token, "bits_per_character" can be compared between kinds of tokens. For the training of long
    texts with states carried from window to window see `LanguageModel`.

    Arguments:
        tokens: what a text is split into: characters, or subwords learned from the training split
            (byte-pair encoding).
    """

    def __init__(
        self,
        *,
        tokens: Literal["characters", "subwords"] = "characters",
        corpus: str = "python",
        ngram: int = 7,
        **options: Any,
    ):
        super().__init__(tokens=tokens, corpus=corpus, ngram=ngram, **options)
