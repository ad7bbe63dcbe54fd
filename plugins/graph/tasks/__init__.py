"""Tasks on molecules, code, architectures, rivers, superpixels and torch_geometric datasets."""

from structnet.plugins.graph.tasks import (  # noqa: F401
    callgraph,
    enas,
    esol,
    graphs,
    molecules,
    pyg,
    river,
    superpixels,
)
