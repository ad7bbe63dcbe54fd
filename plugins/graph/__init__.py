"""Graphs: recurrence along any DAG, and over undirected graphs in an order of their nodes."""

from structnet.plugins.graph import enas, esol, molecules, ordered, pyg, topology  # noqa: F401
