"""Sentiment, labels of trees, swapped operands in Python code, and values of expressions."""

from structnet.plugins.tree.tasks import listops, sst, swapped, trees  # noqa: F401
