"""The input layer of nodes with tokens, with two kinds of dropout of words."""

import torch
from torch import Tensor, nn

from structnet.data.batch import Tokens
from structnet.data.vocabulary import Vocabulary


class TokenDropout(nn.Module):
    """Dropout of tokens in training, alike for every input layer.

    Called with ids (n,), it returns the ids, some of them 0 for unknown, and a factor for each, or
    None where all are 1.

    Arguments:
        vocabulary: the words, and how often each is in the training data.
        word_dropout: a, by which a token seen n times is taken as unknown in training with
            probability a / (a + n) (Kiperwasser and Goldberg 2016, section 3.3).
        embedding_dropout: the probability with which a token's embedding is dropped everywhere in
            the batch in training (Merity et al. 2018, section 4.3).
    """

    def __init__(self, vocabulary: Vocabulary, word_dropout: float, embedding_dropout: float):
        """ValueError for an option out of range."""
        if word_dropout < 0:
            raise ValueError(f"option 'word_dropout' is at least 0, got {word_dropout}")
        if not 0 <= embedding_dropout < 1:
            raise ValueError(
                f"option 'embedding_dropout' is from 0 to below 1, got {embedding_dropout}"
            )
        super().__init__()
        self.word_dropout, self.embedding_dropout = word_dropout, embedding_dropout
        # Index 0 is the unknown word.
        self.counts = (1, *vocabulary.counts.values())
        self.unknown_rate: Tensor | None
        rate = self._unknown_rate() if word_dropout else None
        self.register_buffer("unknown_rate", rate, persistent=False)

    def reset_parameters(self) -> None:
        """Compute the rates again."""
        if self.unknown_rate is not None:
            self.unknown_rate.copy_(self._unknown_rate())

    def _unknown_rate(self) -> Tensor:
        """The probability of being taken as unknown, one per word of the vocabulary."""
        counts = torch.tensor(self.counts, dtype=torch.float32)
        return self.word_dropout / (self.word_dropout + counts)

    def forward(self, ids: Tensor, like: Tensor) -> tuple[Tensor, Tensor | None]:
        """The ids and their factors, of the dtype of the tensor `like`."""
        if self.training and self.unknown_rate is not None:
            unknown = torch.rand(len(ids), device=ids.device) < self.unknown_rate[ids]
            ids = ids.masked_fill(unknown, 0)
        if not (self.training and self.embedding_dropout):
            return ids, None
        ones = like.new_ones(len(self.counts))
        return ids, nn.functional.dropout(ones, self.embedding_dropout)[ids]


class Embedding(nn.EmbeddingBag):
    """The sum of the embeddings of a node's tokens, (N, size); zero for a node without tokens.

    Arguments:
        vocabulary: the words, and how often each is in the training data.
        size: the size of an embedding.
        word_dropout, embedding_dropout: as in `TokenDropout`.
        std: the standard deviation of initial embeddings, whose mean is 0.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        size: int,
        word_dropout: float,
        embedding_dropout: float,
        std: float,
    ):
        """ValueError for an option out of range."""
        if size < 1:
            raise ValueError(f"option 'embedding_size' is at least 1, got {size}")
        dropout = TokenDropout(vocabulary, word_dropout, embedding_dropout)
        self.std = std
        super().__init__(len(vocabulary), size, mode="sum", include_last_offset=True)
        self.dropout = dropout

    def reset_parameters(self) -> None:
        """Reset the embeddings to those of a new module, given the same random state."""
        super().reset_parameters()
        nn.init.normal_(self.weight, std=self.std)
        # torch's constructor calls this before there is one.
        if (dropout := self._modules.get("dropout")) is not None:
            dropout.reset_parameters()  # pyright: ignore[reportCallIssue]

    def forward(self, tokens: Tokens) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ids, kept = self.dropout(tokens.ids, self.weight)
        return super().forward(ids, tokens.ptr, kept)


class OneHot(nn.Module):
    """A node's tokens as counts over the vocabulary, (N, words): one-hot where it has one token.

    Arguments:
        vocabulary, word_dropout, embedding_dropout: as in `TokenDropout`.
    """

    def __init__(self, vocabulary: Vocabulary, word_dropout: float, embedding_dropout: float):
        super().__init__()
        self.size = len(vocabulary)
        self.dropout = TokenDropout(vocabulary, word_dropout, embedding_dropout)
        # Of no size: tells the dtype and the device.
        self.like: Tensor
        self.register_buffer("like", torch.empty(0), persistent=False)

    def forward(self, tokens: Tokens) -> Tensor:
        ids, kept = self.dropout(tokens.ids, self.like)
        node = torch.arange(len(tokens), device=ids.device)
        node = node.repeat_interleave(tokens.ptr.diff(), output_size=len(ids))
        ones = self.like.new_ones(len(ids)) if kept is None else kept
        counts = self.like.new_zeros(len(tokens), self.size)
        return counts.index_put((node, ids), ones, accumulate=True)
