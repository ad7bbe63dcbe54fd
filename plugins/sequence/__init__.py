"""Sequences: chains in one direction or both, and tasks that predict the next character."""

from structnet.plugins.sequence import captions, tasks, topology  # noqa: F401
