"""Graphs of other libraries, known by what they have: nothing of these is imported."""

from typing import Any


def is_data(structure: Any) -> bool:
    """Whether it is a torch_geometric Data or Batch with edges, or looks like one."""
    return getattr(structure, "edge_index", None) is not None


def is_networkx(structure: Any) -> bool:
    """Whether it is a networkx graph, or looks like one: networkx itself is not imported."""
    return callable(getattr(structure, "number_of_nodes", None)) and hasattr(structure, "adj")
