"""Sentiment, labels of trees, values of expressions, pairs, and swapped operands in Python code."""

from structnet.plugins.tree.tasks import listops, logic, sick, sst, swapped, trees  # noqa: F401
