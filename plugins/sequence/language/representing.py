"""The states of a trained net at every token of texts: contextual representations of words.

N: tokens, S: texts, L: layers, D: size of a layer's states.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import structnet as sn

# What may hold what is needed beside the vectors, as a share of the machine's memory.
ROOM = 0.8


@dataclass(frozen=True)
class Represented:
    """The vectors of all tokens of texts.

    Arguments:
        vectors: (N, D), or (N, L, D) of all layers.
        tokens: as the task splits the texts, (N,).
        ptr: text s has the tokens `ptr[s]:ptr[s + 1]`, (S + 1,).
        lines: the line of every text, (S,).
        shares: those of the layers in a vector, from the input up; None where all are kept.
        layers: how many layers there are.
        unknown: how many tokens the net does not know.
    """

    vectors: NDArray[np.float32]
    tokens: NDArray[np.str_]
    ptr: NDArray[np.int64]
    lines: NDArray[np.int64]
    shares: Sequence[float] | None
    layers: int
    unknown: int


def represent(
    run: sn.Run, texts: Sequence[sn.Origin], weights: Sequence[float] | None, every: bool = False
) -> Represented:
    """The states of a run's net at the tokens of texts.

    ValueError for a run whose nets have no states of words, for a text without tokens, and for
    weights that are not one per layer.

    Arguments:
        run: a run of a task over words, characters or sub-words, with net=stack.
        texts: the texts, each read by itself.
        weights: how much of each layer is in a vector, from the input up; they are divided by their
            sum. Equal ones where None.
        every: whether the vectors of all layers are kept instead.
    """
    net: Any = run.load_net()
    _check(run, net)
    layers, size = net.layer_shape
    shares = None if every else _shares(weights, layers)
    read = [_read(run, text) for text in texts]
    border = 0 if run.task.border is None else 1
    ptr = np.cumsum([0, *(len(tokens) for tokens, _ in read)])
    shape = (int(ptr[-1]), *([layers] if every else []), size)
    _check_memory(shape)
    vectors = np.empty(shape, np.float32)
    samples = [sample for _, sample in read]
    batches: Any = sn.loader(
        samples, run.topology, batch_nodes=run.config["trainer"]["batch_nodes"]
    )
    with torch.inference_mode():
        for indices, batch in zip(batches.batch_sampler, batches, strict=True):
            states = torch.stack(net.layer_states(batch), 1).float()
            if shares is not None:
                states = torch.einsum("nld,l->nd", states, torch.tensor(shares))
            for index, part in zip(indices, states.split(batch.ptr.diff().tolist()), strict=True):
                vectors[ptr[index] : ptr[index + 1]] = part[border : len(part) - border].numpy()
    words = [token for tokens, _ in read for token in tokens]
    ids = np.concatenate([sample.x.ids[border : len(sample.x.ids) - border] for sample in samples])
    lines = np.array([text.line for text in texts])
    unknown = int((ids == 0).sum())
    return Represented(vectors, np.array(words), ptr, lines, shares, layers, unknown)


def _check(run: sn.Run, net: Any) -> None:
    what = f"{run.directory} is a run"
    if run.task.vocabulary is None:
        name = run.config["task"]["name"]
        raise ValueError(f"{what} of task {name!r}, which has no words: take another run")
    if not hasattr(net, "layer_states"):
        name = run.config["net"]["name"]
        raise ValueError(f"{what} with net {name!r}, which gives no states: train with net=stack")


def _shares(weights: Sequence[float] | None, layers: int) -> list[float]:
    given = [1.0] * layers if weights is None else weights
    if len(given) != layers:
        raise ValueError(
            f"layers= takes all, or one weight for each of the {layers} layers of the net, from "
            f"the input up, got {len(given)}"
        )
    if not 0 < sum(given) < math.inf:
        raise ValueError(f"the sum of layers= must be a positive number, got {sum(given)}")
    return [weight / sum(given) for weight in given]


def _read(run: sn.Run, text: sn.Origin) -> tuple[Sequence[str], sn.Sample]:
    """The tokens of a text, and the sample that the net reads; ValueError for none."""
    task: Any = run.task
    if task.reads_texts:
        sample = task.read_text(text, run.topology)
        tokens = task.node_names(sample)
    elif hasattr(task, "coder"):
        tokens = task.coder.split(text.text)
        ends = [] if task.border is None else [task.border]
        words = [*ends, *tokens, *ends]
        x = task.vocabulary.tokens([(word,) for word in words], words)
        sample = sn.Sample(len(words), x, sn.IGNORE)
    else:
        raise ValueError(
            f"the run in {run.directory} is of task {run.config['task']['name']!r}, which does not "
            "read texts: take one of task=bidirectional_text, classification, words or text"
        )
    if not tokens:
        raise ValueError(f"{text.path}, line {text.line}: {text.text[:40]!r} has no tokens")
    return tokens, sample


def _check_memory(shape: tuple[int, ...]) -> None:
    """ValueError for vectors that do not fit in memory."""
    needed = 4 * int(np.prod(shape, dtype=object))
    if needed > ROOM * sn.total_memory():
        raise ValueError(
            f"vectors of {' x '.join(f'{n:,}' for n in shape)} numbers take "
            f"{sn.as_bytes(needed)}, this machine has {sn.as_bytes(sn.total_memory())}: give a "
            "part of the text at a time"
        )
