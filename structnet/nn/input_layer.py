"""The input layer of a net, by what its task has and what its options choose."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from structnet.data.vectors import read_vectors
from structnet.data.vocabulary import Vocabulary
from structnet.nn.characters import Characters, Reader
from structnet.nn.embedding import Embedding, OneHot
from structnet.nn.sizes import Sizes
from structnet.system.reading import check_file

Input = Literal["learned", "onehot"]

# The initial standard deviation of embeddings. From large ones a net learns in far fewer steps, but
# those of rare words keep their noise: they are for tokens that are seen often, such as characters.
OFTEN = 1000
STD_OF_FREQUENT = 1.0
STD_OF_RARE = 0.3
# The size of what characters give for a token.
CHARACTER_SIZE = 64


def input_layer(
    sizes: Sizes,
    kind: Input,
    embedding_size: int,
    dropouts: tuple[float, float],
    vectors: str | None,
    tied: bool,
) -> tuple[int, nn.Module]:
    """The size of what the input layer gives, and the layer.

    ValueError for a task with neither tokens nor features, and for vectors of another size.

    Arguments:
        sizes: what the task tells of its data.
        kind: the layer for tokens; features enter as they are.
        embedding_size: the size of an embedding.
        dropouts: word_dropout and embedding_dropout.
        vectors: a file of word vectors to start from; None for none.
        tied: whether the head shares the embedding's weights, which then start small as scores do.
    """
    words = sizes.vocabulary
    if vectors is not None and (words is None or kind != "learned"):
        raise ValueError("net.vectors are for learned embeddings of tokens: leave them out")
    if words is not None and sizes.input_size is not None:
        own = replace(sizes, input_size=None)
        size, layer = input_layer(own, kind, embedding_size, dropouts, vectors, tied)
        return size + sizes.input_size, BesideNumbers(layer)
    if words is not None and kind == "onehot":
        return len(words), OneHot(words, *dropouts)
    if words is not None:
        often = sum(words.counts.values()) >= OFTEN * len(words) and not tied
        std = STD_OF_FREQUENT if often else STD_OF_RARE
        embedding = Embedding(words, embedding_size, *dropouts, std)
        if vectors is not None:
            _start_from(embedding, words, vectors)
        return embedding_size, embedding
    if sizes.input_size is None:
        raise ValueError("a task has a vocabulary or an input_size, this one has neither")
    return sizes.input_size, nn.Identity()


def with_tied(sizes: Sizes, layer: nn.Module, tied: bool) -> Sizes:
    """The sizes with the embedding that the head shares, if it shares one."""
    if not tied:
        return sizes
    if not isinstance(layer, Embedding):
        raise ValueError(
            "net.tied shares the weights of learned embeddings of tokens: leave it out"
        )
    return replace(sizes, embedding=layer)


class BesideNumbers(nn.Module):
    """What a layer gives for the tokens of nodes, and their numbers beside it, of a `Mixed`."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, x: Any) -> Tensor:
        embedded = self.layer(x.tokens)
        return torch.cat([embedded, x.numbers.to(embedded.dtype)], dim=1)


class Joined(nn.Module):
    """What several input layers give, side by side."""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Any) -> Tensor:
        return torch.cat([layer(x) for layer in self.layers], dim=1)


def with_characters(
    size: int,
    layer: nn.Module,
    sizes: Sizes,
    chosen: tuple[Reader | None, int | None],
    executor: str,
) -> tuple[int, nn.Module]:
    """An input layer and its size with what tokens look like beside it, if that is read.

    Arguments:
        size, layer: what `input_layer` returns.
        sizes: what the task tells of its data.
        chosen: what reads characters, None for nothing, and the size of what it gives, None for
            CHARACTER_SIZE.
        executor: what runs an LSTM that reads them.

    ValueError for a task without tokens, and for a size with nothing that reads characters.
    """
    reader, width = chosen
    if reader is None:
        # The size itself is in the configuration of older runs.
        if width not in (None, CHARACTER_SIZE):
            raise ValueError(
                f"option 'character_size' is {width}, and nothing reads characters: set "
                "net.characters=cnn or lstm, or leave it out"
            )
        return size, layer
    if sizes.vocabulary is None:
        raise ValueError("net.characters are those of tokens, and the task has none: leave it out")
    width = CHARACTER_SIZE if width is None else width
    return size + width, Joined(layer, Characters(reader, width, executor))


@torch.no_grad()
def _start_from(embedding: Embedding, words: Vocabulary, path: str) -> None:
    """Copy the vectors of a file into the embeddings of its words."""
    # A net is built without words, and without memory, only to see whether it can be built.
    if not words.counts or embedding.weight.is_meta:
        check_file(Path(path).expanduser())
        return
    weight, known = read_vectors(path, words)
    if weight.shape[1] != embedding.embedding_dim:
        raise ValueError(
            f"{path} has vectors of {weight.shape[1]} numbers, net.embedding_size is "
            f"{embedding.embedding_dim}: set net.embedding_size={weight.shape[1]}"
        )
    embedding.weight[known] = weight[known].to(embedding.weight)
