"""Graphs of other libraries, recognised by their attributes: the libraries are not imported."""

from typing import Any


def is_data(structure: Any) -> bool:
    """Whether it has the attributes of a torch_geometric Data or Batch with edges."""
    return getattr(structure, "edge_index", None) is not None


def is_networkx(structure: Any) -> bool:
    """Whether it has the attributes of a networkx graph."""
    return callable(getattr(structure, "number_of_nodes", None)) and hasattr(structure, "adj")
