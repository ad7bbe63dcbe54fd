"""Classifiers of nodes that know words near them, to compare with: no net, no recursion."""

from collections.abc import Iterator, Sequence

import numpy as np

from structnet.plugins.treebanks.tree import LabelledTree

# Of the words below a node, how many of the first and of the last are features.
ENDS = 6


def fit_nodes(
    train: tuple[list[list[str]], list[int]], test: tuple[list[list[str]], list[int]]
) -> dict[str, dict[str, float]]:
    """Test accuracies of the most frequent class, and of logistic regression on features.

    A split is the features of every node and its class; a class below 0 counts as wrong.
    """
    # Imported here: scikit-learn takes a second, and only training needs it.
    from sklearn.linear_model import SGDClassifier

    from structnet.plugins.baselines.hashed import hash_features

    y, y_test = np.array(train[1]), np.array(test[1])
    frequent = np.bincount(y).argmax()
    found = {"majority": float(np.mean(y_test == frequent))}
    if len(np.unique(y)) > 1:
        rows = hash_features(train[0], "string")
        # Only the columns that training has, as a class has a weight for each.
        columns = np.unique(rows.indices)
        model = SGDClassifier(loss="log_loss", alpha=1e-6, random_state=0)
        model.fit(rows[:, columns], y)
        said = model.predict(hash_features(test[0], "string")[:, columns])
        found["logistic regression"] = float(np.mean(said == y_test))
    return {name: {"accuracy": value} for name, value in found.items()}


def features_below(tree: LabelledTree, nodes: Sequence[int]) -> Iterator[list[str]]:
    """The features of nodes of constituents: the first and last words below, and their number."""
    below, counts = tree.spans, tree.counts()
    words = [word.lower() for word in tree.words if word]
    for node in nodes:
        a, b = below[node].tolist()
        some = [*words[a : a + ENDS], *words[max(a + ENDS, b - ENDS) : b]]
        ends = [f"first={words[a]}", f"last={words[b - 1]}", f"ends={words[b - 1][-3:]}"]
        size = [f"children={min(counts[node], 5)}", f"words={min(b - a, 10)}"]
        yield [*some, *ends, *size] if b > a else size


def features_around(tree: LabelledTree, nodes: Sequence[int]) -> Iterator[list[str]]:
    """The features of words: the word, its head, and the first words that depend on it."""
    words = [word.lower() for word in tree.words]
    below = tree.children()
    for node in nodes:
        above = int(tree.parent[node])
        head = words[above] if above >= 0 else "<root>"
        near = [f"head={head}", f"head ends={head[-3:]}", f"before={node < above}"]
        own = [f"word={words[node]}", f"ends={words[node][-3:]}", f"pair={words[node]} {head}"]
        yield [*own, *near, *(f"below={words[child]}" for child in below[node][:ENDS])]
