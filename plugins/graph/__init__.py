"""Graphs: recurrence along any DAG, and over undirected graphs in an order of their nodes."""

from structnet.plugins.graph import (  # noqa: F401
    callgraph,
    enas,
    esol,
    molecules,
    ordered,
    pyg,
    river,
    superpixels,
    topology,
)
