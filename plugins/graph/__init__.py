"""Graphs: recurrence along any DAG, and over undirected graphs in an order of their nodes."""

from structnet.plugins.graph import callgraph, enas, ordered, topology  # noqa: F401
