"""Texts that a net writes: drawn token by token, or the most probable ones."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

import structnet as sn
from structnet.plugins.sequence.generation.beams import beam_search
from structnet.plugins.sequence.generation.sampling import ENDED, check, sample
from structnet.plugins.sequence.generation.texts import (
    TEMPERATURE,
    UNKNOWN,
    TextTask,
    Unseen,
    begin,
    decode,
    encode,
)

PENALTY = 0.6


def generate(
    self: TextTask,
    net: nn.Module,
    topology: sn.Topology,
    *,
    prompt: str = "",
    n: int = 1,
    length: int = 300,
    stop: str | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    beam: int | None = None,
    penalty: float | None = None,
    unseen: Unseen = "error",
    seed: int = 0,
) -> Iterator[str]:
    """Texts that begin with a prompt, in pieces as they are written.

    Several texts come one after the other, each below a line with its number. ValueError for an
    option out of range, or one that does not go with another.

    Arguments:
        self: the task, of which this is a method.
        prompt: what the texts begin with.
        n: the number of texts.
        length: the number of tokens after the prompt, at most.
        stop: a text ends after this; `\\n` is a line break.
        temperature: log-probabilities are divided by it, 0.8 by default; 0 for the most probable
            token at each step.
        top_k: draw from the k most probable tokens.
        top_p: draw from the fewest most probable tokens whose probabilities have at least this sum.
        beam: the number of beams of a beam search, which is done instead of drawing.
        penalty: the power of its length penalty, 0.6 by default.
        unseen: what is done about tokens of the prompt that the net does not know.
        seed: the seed of the draws.
    """
    drawing = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    for name, value, least in (("n", n, 1), ("length", length, 1), ("seed", seed, 0)):
        if value < least:
            raise ValueError(f"{name} is at least {least}, got {value}")
    _check(n, beam, penalty, drawing)
    start = encode(self, prompt, unseen, "the prompt")
    steps, output = begin(self, net, start)
    ends = None if stop is None else _ends(self, stop.replace("\\n", "\n"))
    if beam is not None:
        (found,) = beam_search(
            steps,
            output,
            beams=beam,
            length=length,
            penalty=PENALTY if penalty is None else penalty,
            judge=None if ends is None else lambda tokens: "end" if ends(tokens) else "on",
            banned=[UNKNOWN],
        )
        return _several([decode(self, [*start, *one.tokens]) for one in found[:n]])
    steps.keep(torch.zeros(n, dtype=torch.long))
    # The same scores for all texts, which differ in their draws.
    drawn = sample(
        steps,
        output[[0] * n],
        length=length,
        ends=ends,
        banned=[UNKNOWN],
        seed=seed,
        temperature=TEMPERATURE if temperature is None else temperature,
        top_k=top_k,
        top_p=1.0 if top_p is None else top_p,
    )
    if n == 1:
        return _pieces(self, start, (token for (token,) in drawn))
    texts = zip(*drawn, strict=True)
    whole = [[token for token in tokens if token != ENDED] for tokens in texts]
    return _several([decode(self, [*start, *tokens]) for tokens in whole])


def _check(n: int, beam: int | None, penalty: float | None, drawing: dict[str, Any]) -> None:
    """ValueError for options of drawing out of range, and those that do not go with a search."""
    given = {name: value for name, value in drawing.items() if value is not None}
    if beam is None:
        if penalty is not None:
            raise ValueError(f"penalty={penalty} is of beam search: add beam=N, or leave it out")
        check(**{"temperature": TEMPERATURE, "top_k": None, "top_p": 1.0, **given})
        return
    if beam < n:
        raise ValueError(f"n={n} texts are the best of at least as many beams, got beam={beam}")
    if given:
        raise ValueError(
            f"beam={beam} takes the most probable texts and draws none: leave out "
            f"{', '.join(given)}, or beam"
        )


def _ends(task: TextTask, stop: str) -> Callable[[Sequence[int]], bool]:
    """Whether tokens end with a text: it is looked for in the last ones."""
    # Every token has a character or more, but for parts of characters, of four bytes at most.
    recent = 4 * len(stop) + 1
    return lambda tokens: stop in decode(task, tokens[-recent:])


def _pieces(task: TextTask, start: Sequence[int], tokens: Iterator[int]) -> Iterator[str]:
    """The prompt, and what each token adds to the text."""
    classes, join = task.classes, task.coder.join
    all_tokens = [classes[token] for token in start]
    said = join(all_tokens)
    yield said
    for token in tokens:
        all_tokens.append(classes[token])
        # A sub-word may end within a character, which is shown as the replacement character.
        text = join(all_tokens).rstrip("\N{REPLACEMENT CHARACTER}")
        if len(text) > len(said):
            yield text[len(said) :]
            said = text
    yield join(all_tokens)[len(said) :]


def _several(texts: Sequence[str]) -> Iterator[str]:
    """Texts below each other, with a line before each if there are several."""
    for number, text in enumerate(texts, start=1):
        if len(texts) > 1:
            yield f"--- {number} of {len(texts)} ---\n"
        yield text if text.endswith("\n") else f"{text}\n"
