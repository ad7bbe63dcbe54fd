"""The automaton of a net's clustered states.

Omlin and Giles (1996), "Extraction of rules from discrete-time recurrent neural networks", divide
the space of states and follow the transitions between its parts; as in Wang et al. (2018), "An
empirical evaluation of rule extraction from recurrent neural networks", the parts are those of
k-means. Every part goes, with each symbol, where most of its states go.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from structnet.plugins.sequence.automata.automaton import Automaton

# The share of strings on which the automaton agrees with the net when no more clusters are tried.
ENOUGH = 0.999


def cluster(
    alphabet: str,
    strings: Sequence[str],
    states: Sequence[NDArray],
    labels: Sequence[NDArray[np.bool_]],
    most_states: int,
) -> Automaton:
    """The minimal automaton of the fewest clusters that agrees with a net, or of the best number.

    Agreement is measured on every fourth string, which takes no part in the clusters.

    Arguments:
        alphabet: the symbols.
        strings: read by the net.
        states: of each string the net's states (n + 1, H), from the start on.
        labels: whether the net accepts what it has read, at each of these states (n + 1,).
        most_states: the greatest number of clusters.
    """
    held = range(3, len(strings), 4)
    fitted = [i for i in range(len(strings)) if i % 4 != 3]
    points = np.concatenate([states[i] for i in fitted])
    known = np.concatenate([labels[i] for i in fitted])
    checked = [strings[i] for i in held]
    wanted = np.array([labels[i][-1] for i in held])
    best, agreed = None, -1.0
    for count in _counts(min(most_states, len(points))):
        parts = KMeans(count, random_state=0).fit_predict(points)
        found = _automaton(alphabet, [strings[i] for i in fitted], parts, known)
        agreement = float((found.labels(checked) == wanted).mean())
        if agreement > agreed:
            best, agreed = found, agreement
        if agreed >= ENOUGH:
            break
    assert best is not None
    return best.minimal()


def _counts(most: int) -> list[int]:
    """The numbers of clusters that are tried: 2, 3, 4, then by steps of about a third."""
    counts = [2]
    while counts[-1] < most:
        counts.append(min(most, max(counts[-1] + 1, counts[-1] * 4 // 3)))
    return [count for count in counts if count <= most] or [1]


def _automaton(
    alphabet: str, strings: Sequence[str], parts: NDArray, labels: NDArray[np.bool_]
) -> Automaton:
    """The automaton whose states are clusters, from the clusters along the strings."""
    size, index = int(parts.max()) + 1, {symbol: i for i, symbol in enumerate(alphabet)}
    ends = np.cumsum([len(string) + 1 for string in strings])
    is_end = np.zeros(len(parts), bool)
    is_end[ends - 1] = True
    # A string's last state is followed by the next string's first, which is left out.
    before = np.flatnonzero(~is_end)
    symbols = np.array([index[symbol] for string in strings for symbol in string], np.int64)
    moves = np.zeros((size, len(alphabet), size), np.int64)
    np.add.at(moves, (parts[before], symbols, parts[before + 1]), 1)
    successors = moves.argmax(2)
    # A transition that was never seen stays where it is.
    unseen = moves.sum(2) == 0
    successors[unseen] = np.nonzero(unseen)[0]
    votes = np.zeros((size, 2), np.int64)
    np.add.at(votes, (parts, labels.astype(np.int64)), 1)
    # The start becomes state 0.
    order = np.arange(size)
    order[[0, parts[0]]] = order[[parts[0], 0]]
    return Automaton(alphabet, order[successors[order]], (votes[:, 1] > votes[:, 0])[order])
