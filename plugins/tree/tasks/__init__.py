"""Sentiment of sentences, and swapped operands in Python code."""

from structnet.plugins.tree.tasks import sst, swapped  # noqa: F401
