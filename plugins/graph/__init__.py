"""Directed acyclic graphs, undirected graphs visited in an order, and their tasks."""

from structnet.plugins.graph import tasks, topology  # noqa: F401
