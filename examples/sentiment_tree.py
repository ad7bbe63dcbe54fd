"""The sentiment of every phrase of a sentence
===========================================

A Tree-LSTM (Tai et al. 2015) learns a drawn language in which `not` reverses the phrase after it,
and of two phrases with `but` between them the second one decides.
"""

import random
import tempfile

import matplotlib.pyplot as plt
from nltk import Tree

import structnet as sn

CLASSES = ["bad", "neutral", "good"]
WORDS = [Tree("bad", ["dull"]), Tree("neutral", ["long"]), Tree("good", ["fine"])]


def phrase(depth):
    if depth == 0:
        return random.choice(WORDS)
    one, other = phrase(random.randrange(depth)), phrase(depth - 1)
    if random.random() < 0.5:
        return Tree(CLASSES[2 - CLASSES.index(other.label())], [Tree("neutral", ["not"]), other])
    return Tree(other.label(), [one, Tree(other.label(), [Tree("neutral", ["but"]), other])])


random.seed(13)
trees = [phrase(depth) for depth in (1, 2, 3) * 400]
test = [phrase(depth=4) for _ in range(100)]
with tempfile.TemporaryDirectory() as folder:
    trainer = {"max_epochs": 8, "learning_rate": 0.02, "num_workers": 0}
    run = sn.fit(trees, {"hidden_size": 32}, per_node=True, trainer=trainer, run=folder)
found, truth = run.predict(test), [tree.label() for tree in test]
print(f"right of deeper trees: {(found.classes[found.nodes == 0] == truth).mean():.0%}")
names = [part[0] if len(part) == 1 else "" for part in test[0].subtrees()]
values = [CLASSES.index(label) for label in run.predict(test[:1]).classes]
sn.picture(run.topology, test[0], names=names, values=values, classes=CLASSES, title="Sentiment")
plt.show()
