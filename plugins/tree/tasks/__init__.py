"""Sentiment, labels of trees, values of expressions, pairs, and swapped operands in Python code."""

from structnet.plugins.tree.tasks import (  # noqa: F401
    listops,
    logic,
    own_trees,
    parsing,
    scene_parsing,
    sick,
    sst,
    swapped,
    trees,
)
