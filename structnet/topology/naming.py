"""Names of nodes and cycles in error messages."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from structnet.registry import topologies


class NodeNames:
    """The names of a batch's nodes, `sample 3, node 5`, numbered within their samples.

    Arguments:
        ptr: sample b owns the nodes `ptr[b]:ptr[b + 1]` (B + 1,); None for a single sample.
    """

    def __init__(self, ptr: ArrayLike | None = None):
        self.ptr = np.zeros(1, np.int64) if ptr is None else np.asarray(ptr)

    def __call__(self, node: int) -> str:
        sample = self.sample(node)
        return f"sample {sample}, node {node - self.ptr[sample]}"

    def sample(self, node: int) -> int:
        return int(np.searchsorted(self.ptr, node, side="right")) - 1


def cycle_error(
    cycle: Sequence[int],
    source: NDArray[np.integer],
    target: NDArray[np.integer],
    names: NodeNames,
) -> ValueError:
    """The error for a cycle, with its nodes and what to do if the cause is recognised."""
    sample = names.sample(cycle[0])
    nodes = [int(node - names.ptr[sample]) for node in (*cycle, cycle[0])]
    path = " -> ".join(map(str, nodes if len(nodes) < 12 else [*nodes[:10], "...", nodes[-1]]))
    hint = ""
    if len(cycle) == 1:
        hint = "; for a graph, take torch_geometric.utils.remove_self_loops"
    if _is_undirected(sample, source, target, names):
        fitting = [one for one in topologies.names() if topologies[one].takes == "undirected"]
        hint += (
            "; every edge is there in both directions: for an undirected graph, take a topology "
            f"among {fitting}"
        )
    return ValueError(
        f"cycle in sample {sample}, node {path}: no node can be its own ancestor{hint}"
    )


def _is_undirected(
    sample: int, source: NDArray[np.integer], target: NDArray[np.integer], names: NodeNames
) -> bool:
    """Whether a sample has edges between different nodes, each in both directions."""
    end = [*names.ptr[sample + 1 : sample + 2], np.inf][0]
    mine = (source != target) & (source >= names.ptr[sample]) & (source < end)
    pairs = np.unique(np.stack([source[mine], target[mine]]), axis=1)
    back = np.unique(pairs[::-1], axis=1)
    return bool(mine.any()) and np.array_equal(pairs, back)
