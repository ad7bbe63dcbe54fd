"""The trained net whose states another run's net reads, by the option net.embeddings=run:DIR."""

import warnings
from pathlib import Path
from typing import Any

from torch import nn

from structnet import DataWarning, registry
from structnet.data.vocabulary import Vocabulary
from structnet.nn.pretrained import Pretrained
from structnet.registry.option_types import home

PREFIX = "run:"
# A warning is given where the other run knows less than this share of a training split's words.
FEW = 0.5
# The words that are named.
NAMED = 5


def folder_of(option: str) -> Path:
    """The directory in `run:DIR`; ValueError for anything else."""
    directory = option.removeprefix(PREFIX)
    if directory == option or not directory:
        raise ValueError(
            f"net.embeddings={option}: write net.embeddings=run:DIR, with the directory of a run "
            "over words, such as one of task=bidirectional_text"
        )
    return Path(home(directory))


def pretrained_of(run: Any, other: Any) -> Pretrained:
    """What the net of a run reads of another run, whose words are known by now.

    ValueError where that run's net does not give states of words in sequences.

    Arguments:
        run: the run whose net reads the states.
        other: the run that they are of; without a directory, its net is made with new weights, to
            be filled with those that are saved in the first run's file.
    """
    what = f"net.embeddings={run.config['net']['embeddings']}"
    name, net = other.config["task"]["name"], other.config["net"]["name"]
    if other.task.vocabulary is None:
        raise ValueError(f"{what} is a run of task {name!r}, which has no words: take another run")
    if not hasattr(registry.nets[net], "layer_states"):
        raise ValueError(
            f"{what} is a run with net {net!r}, which has no method `layer_states`: take a run "
            "with net=stack"
        )
    for one, which in ((other, "is a run with"), (run, "is for sequences, and this run has")):
        if one.topology.takes != "sequence":
            raise ValueError(
                f"{what} {which} topology {one.config['topology']['name']!r}: take sequences in "
                "both runs, as with topology=bichain"
            )
    trained = other.load_net() if is_opened(other) else None

    def build() -> nn.Module:
        return other.build_net(**other.portable) if trained is None else trained

    return Pretrained(build, other.task.vocabulary, other.topology, other.task.border)


def is_opened(other: Any) -> bool:
    """Whether a run was opened in its directory, and not made of what another run has saved."""
    return other.directory != Path()


def extended(run: Any, words: Vocabulary) -> Vocabulary:
    """A task's vocabulary with the words that only the pretrained net knows.

    ValueError where that net knows none of the words, a DataWarning where it knows few.
    """
    known = run.pretrained.vocabulary.counts
    new = {word: count for word, count in words.counts.items() if word not in known}
    share = 1 - sum(new.values()) / max(1, sum(words.counts.values()))
    shown = ", ".join(map(repr, sorted(new, key=new.__getitem__, reverse=True)[:NAMED]))
    given = f"net.embeddings={run.config['net']['embeddings']}"
    if len(new) == len(words.counts):
        raise ValueError(
            f"{given} knows none of the {len(new):,} words of this task, such as {shown}: take a "
            "run over words that are split and written as here"
        )
    if share < FEW:
        warnings.warn(
            f"{given} knows {share:.0%} of the words of the training split, not {shown}: are its "
            "words split and written as here?",
            DataWarning,
            stacklevel=2,
        )
    return words.extended(known)
