"""Graphs of other libraries, known by their attributes: the libraries are not imported."""

from collections.abc import Mapping
from typing import Any


def is_data(structure: Any) -> bool:
    """Whether it has the attributes of a torch_geometric Data or Batch with edges."""
    return getattr(structure, "edge_index", None) is not None


def is_networkx(structure: Any) -> bool:
    """Whether it has the attributes of a networkx graph."""
    return callable(getattr(structure, "number_of_nodes", None)) and hasattr(structure, "adj")


def is_row(structure: Any) -> bool:
    """Whether it is a graph as a row of a table has it, such as one of Hugging Face's datasets."""
    return isinstance(structure, Mapping) and "edge_index" in structure
