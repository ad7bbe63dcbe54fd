"""Sentiment of sentences, labels of trees, and swapped operands in Python code."""

from structnet.plugins.tree.tasks import sst, swapped, trees  # noqa: F401
