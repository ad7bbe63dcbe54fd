"""Sequences: chains in one direction or both, and tasks that predict the next character."""

from structnet.plugins.sequence import arithmetic, topology, xml  # noqa: F401
