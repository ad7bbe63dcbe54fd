"""What generation needs of a task over texts, and texts as the tokens that its net knows."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, Protocol

from torch import nn

import structnet as sn
from structnet.plugins.sequence.generation.sampling import sample
from structnet.plugins.sequence.generation.stepping import Steps, follow

# The token of what is not in the vocabulary; it is read, but never written.
UNKNOWN = 0
# What is done about tokens of a text that are not in the vocabulary.
Unseen = Literal["error", "skip", "replace"]
# The most tokens that are named in an error.
NAMED = 5
# How many tokens a net draws and reads before a text, and the temperature of draws.
RUN_IN, TEMPERATURE = 30, 0.8


class Coder(Protocol):
    """Splits a text into tokens and joins them again; `unit` is what a token is called."""

    unit: str

    def split(self, text: str, /) -> list[str]: ...
    def join(self, tokens: Iterable[str], /) -> str: ...


class TextTask(Protocol):
    """A task whose net predicts the next token of a text; classes are tokens, by their ids."""

    vocabulary: sn.Vocabulary | None

    @property
    def classes(self) -> Sequence[str]: ...

    @property
    def coder(self) -> Coder: ...


def encode(
    task: TextTask, text: str, unseen: Unseen = "error", what: str = "the text"
) -> list[int]:
    """The ids of a text's tokens.

    ValueError for a token that is not in the vocabulary, unless it is to be skipped, or replaced by
    the unknown one.
    """
    words = task.vocabulary
    if words is None:
        raise ValueError("the task has no vocabulary: load the net first, or the task's data")
    tokens = task.coder.split(text)
    ids = [words[token] for token in tokens]
    unknown = task.classes[UNKNOWN]
    new = {t: None for t, i in zip(tokens, ids, strict=True) if i == UNKNOWN and t != unknown}
    if new and unseen == "error":
        named = ", ".join(map(repr, [*new][:NAMED])) + (", ..." if len(new) > NAMED else "")
        raise ValueError(
            f"{what} has the {task.coder.unit}{'s' if len(new) > 1 else ''} {named}, not in the "
            "net's vocabulary: leave out with unseen=skip, or take as unknown with unseen=replace"
        )
    return [i for t, i in zip(tokens, ids, strict=True) if unseen != "skip" or t not in new]


def decode(task: TextTask, ids: Iterable[int]) -> str:
    """The text of tokens."""
    classes = task.classes
    return task.coder.join(classes[i] for i in ids)


def boundary(task: TextTask) -> list[int]:
    """The tokens of a line's end, after which a text begins; the unknown one where it has none."""
    # A coder may leave line breaks out.
    return encode(task, "\n", "replace") or [UNKNOWN]


def begin(task: TextTask, net: Any, ids: Sequence[int]) -> tuple[Steps, Any]:
    """A stepper at the start of a text that has read tokens, and what it gave for the last one.

    A net whose states are carried on in training is hardly ever in its first state: it reads some
    text that it draws itself, and the end of a line, before those tokens. ValueError for a net that
    can't be fed step by step.
    """
    if not hasattr(net, "stepper"):
        raise ValueError(
            f"{sn.nets.called(net)} can't be fed one token at a time: train with net=stack"
        )
    steps, start = net.stepper(1), boundary(task)
    output = follow(steps, start)
    drawn = sample(steps, output, length=RUN_IN, banned=[UNKNOWN], temperature=TEMPERATURE)
    last = [token for (token,) in drawn][-1:]
    return steps, follow(steps, [*last, *start, *ids])


def language_model(directory: str) -> tuple[Any, nn.Module]:
    """The task and the net of a run; ValueError for a task that does not predict texts."""
    run = sn.Run.open(directory)
    if not hasattr(run.task, "coder") or getattr(run.task, "apart", False):
        raise ValueError(
            f"the run in {directory} is of task {run.config['task']['name']!r}, which predicts no "
            "text: train with task=text or task=words"
        )
    net = run.load_net()
    return run.task, net
