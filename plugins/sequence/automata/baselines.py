"""What strings tell without a state: the last symbols alone, and how often pairs of them occur."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from structnet.plugins.sequence.automata.automaton import Automaton

# Strings, each with the index of its kind.
Strings = Sequence[tuple[str, int]]
LAST = 3
Figures = dict[str, dict[str, float]]


def fit_strings(
    automaton: Automaton, train: Strings, test: Strings, kinds: Sequence[str], every: bool
) -> Figures:
    """Test accuracy, and that of each kind, of models without a state.

    They are the most frequent label; the most frequent one after the same three symbols; and, of
    whole strings, logistic regression on the counts of symbols and pairs of symbols.

    Arguments:
        automaton: labels the strings.
        train: the strings that the models are fitted to.
        test: those that they are tested on.
        kinds: the names of the kinds.
        every: whether every prefix of a string is labelled, and not the string alone.
    """
    cases = [(end, y) for string, _ in train for end, y in _cases(automaton, string, every)]
    majority = Counter(y for _, y in cases).most_common(1)[0][0]
    counts: dict[str, Counter[bool]] = defaultdict(Counter)
    for end, y in cases:
        counts[end][y] += 1
    likely = {end: some.most_common(1)[0][0] for end, some in counts.items()}
    tested = [
        (end, y, kind) for string, kind in test for end, y in _cases(automaton, string, every)
    ]
    y, kind = np.array([y for _, y, _ in tested]), np.array([kind for *_, kind in tested])
    guesses = {
        "majority": np.full(len(tested), majority),
        f"last {LAST} symbols": np.array([likely.get(end, majority) for end, *_ in tested]),
    }
    if not every:
        guesses["regression on pairs"] = _regression(automaton, train, test)
    return {name: _figures(guess == y, kind, kinds) for name, guess in guesses.items()}


def _cases(automaton: Automaton, string: str, every: bool) -> Iterator[tuple[str, bool]]:
    """The last symbols and the label of a string, or of all its prefixes."""
    labels = automaton.accepting[automaton.trace(string)].tolist()
    for length in range(len(string) + 1) if every else [len(string)]:
        yield string[max(0, length - LAST) : length], labels[length]


def _regression(automaton: Automaton, train: Strings, test: Strings) -> Any:
    counted = CountVectorizer(analyzer="char", ngram_range=(1, 2), lowercase=False)
    model = make_pipeline(counted, MaxAbsScaler(), LogisticRegression(max_iter=1000))
    strings = [string for string, _ in train]
    model.fit(strings, automaton.labels(strings))
    return model.predict([string for string, _ in test])


def _figures(right: Any, kind: Any, kinds: Sequence[str]) -> dict[str, float]:
    of_kinds = {
        name: float(right[kind == index].mean())
        for index, name in enumerate(kinds)
        if (kind == index).any()
    }
    return {"accuracy": float(right.mean()), **of_kinds}
