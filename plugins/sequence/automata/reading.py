"""Reading a finite automaton back out of a trained net, and measuring it."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.sequence.automata.automaton import Automaton
from structnet.plugins.sequence.automata.clusters import cluster
from structnet.plugins.sequence.automata.learner import learn
from structnet.plugins.sequence.automata.sampling import Mixture
from structnet.plugins.sequence.tasks.automaton import INSIDE, AutomatonTask

Method = Literal["queries", "clusters"]
# The nodes that the net reads at once, and the most strings that clusters are made of.
BATCH_NODES, MOST_CLUSTERED = 16_384, 2_000


class Agreement(NamedTuple):
    """The shares of strings of some lengths on which two of three agree.

    Arguments:
        lengths: the least and the greatest.
        strings: their number.
        net_true: net and language.
        found_true: the automaton that was read out, and the language.
        found_net: that automaton and the net.
    """

    lengths: tuple[int, int]
    strings: int
    net_true: float
    found_true: float
    found_net: float


class Reading(NamedTuple):
    """An automaton that was read out of a net.

    Arguments:
        found: the automaton, minimal.
        is_complete: whether it agrees with the net on all strings it was tried on.
        queries: how many strings the net was asked, apart from those of `agreements`.
        difference: a shortest string that only one of it and the true automaton accepts.
        agreements: by range of lengths.
    """

    found: Automaton
    is_complete: bool
    queries: int
    difference: str | None
    agreements: list[Agreement]


def read_automaton(
    task: AutomatonTask,
    net: torch.nn.Module,
    topology: sn.Topology,
    *,
    method: Method,
    most_states: int,
    strings: int,
    seed: int,
) -> Reading:
    """Read an automaton out of a net, and compare it with the net and with the true automaton.

    It is tried on strings of training lengths; the strings it is compared on are drawn anew.

    Arguments:
        task: the net's.
        net: trained.
        topology: of the task's strings.
        method: queries for L*, clusters for k-means of the states.
        most_states: the most states of the automaton, or the most clusters.
        strings: how many strings are drawn for every range of lengths.
        seed: of the strings.
    """
    random = np.random.default_rng([seed, 1])
    asked = Asked(task, net, topology)
    low, high = task.ranges[0]

    def drawn(automaton: Automaton) -> list[str]:
        return Mixture(automaton, high, task.near).draw(low, high, strings, random)

    if method == "queries":

        def sample(hypothesis: Automaton) -> list[str]:
            return [*drawn(task.automaton), *drawn(hypothesis)]

        learned = learn(asked.labels, task.automaton.alphabet, sample, most_states)
        found, is_complete, queries = learned
    else:
        some = drawn(task.automaton)[:MOST_CLUSTERED]
        labels = asked.labels_along(some)
        found = cluster(task.automaton.alphabet, some, asked.states(some), labels, most_states)
        ends = np.array([one[-1] for one in labels])
        is_complete, queries = bool((found.labels(some) == ends).all()), len(some)
    random = np.random.default_rng([seed, 2])
    agreements = [
        _agreement(asked, found, span, task.draw(span, strings, random)) for span in task.ranges
    ]
    return Reading(found, is_complete, queries, found.difference(task.automaton), agreements)


def _agreement(
    asked: "Asked", found: Automaton, lengths: tuple[int, int], strings: list[str]
) -> Agreement:
    said, true = asked.labels(strings), asked.task.automaton.labels(strings)
    read = found.labels(strings)
    pairs = ((said, true), (read, true), (read, said))
    return Agreement(lengths, len(strings), *(float((a == b).mean()) for a, b in pairs))


class Asked:
    """A net that is asked about strings."""

    def __init__(self, task: AutomatonTask, net: torch.nn.Module, topology: sn.Topology):
        self.task, self.net, self.topology = task, net, topology

    def labels(self, strings: Sequence[str]) -> NDArray[np.bool_]:
        """Whether the net takes each string for one of the language."""
        labels = np.empty(len(strings), bool)
        for indices, batch in self._batches(strings):
            output: Any = self.net(batch)
            if len(output) != batch.num_samples:
                output = output[batch.ptr[1:] - 1]
            scores = output if isinstance(output, torch.Tensor) else output.log_probs()
            labels[indices] = (scores.argmax(1) == INSIDE).numpy()
        return labels

    def labels_along(self, strings: Sequence[str]) -> list[NDArray[np.bool_]]:
        """Of each string, whether the net takes what it has read for one of the language."""
        prefixes = sorted({s[:end] for s in strings for end in range(len(s) + 1)})
        known = dict(zip(prefixes, self.labels(prefixes).tolist(), strict=True))
        return [np.array([known[s[:end]] for end in range(len(s) + 1)]) for s in strings]

    def states(self, strings: Sequence[str]) -> list[NDArray]:
        """Of each string, the outputs (n + 1, H) of the net's last recurrence, from the start on.

        ValueError for a net that reads strings in both directions, or has no recurrence.
        """
        layers = [module for module in self.net.modules() if isinstance(module, sn.Recurrence)]
        if not layers or len(self.topology.directions) > 1:
            raise ValueError(
                "clusters are of the states of a net that reads strings from left to right: take "
                "method=queries, which asks any net"
            )
        kept: list[torch.Tensor] = []

        def keep(module: torch.nn.Module, given: Any, out: Any) -> None:
            kept.append(out[0] if isinstance(out, tuple) else out)

        hook = layers[-1].register_forward_hook(keep)
        states: list[Any] = [None] * len(strings)
        try:
            for indices, batch in self._batches(strings):
                self.net(batch)
                parts = kept.pop().split(batch.ptr.diff().tolist())
                for index, part in zip(indices, parts, strict=True):
                    states[index] = part.numpy()
        finally:
            hook.remove()
        return states

    def _batches(self, strings: Sequence[str]) -> Iterator[tuple[list[int], sn.Batch]]:
        batches = sn.Batches([len(string) + 1 for string in strings], BATCH_NODES)
        with torch.inference_mode():
            for indices in batches:
                samples = [self.task.sample(strings[index]) for index in indices]
                yield list(indices), sn.collate(samples, self.topology)
