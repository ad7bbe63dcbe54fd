"""Data frames of pandas and polars, known by their module: the libraries are not imported."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

LIBRARIES = ("pandas", "polars")


def library_of(data: Any) -> str | None:
    """`pandas` or `polars`, of a data frame; None for anything else."""
    name = type(data).__module__.split(".")[0]
    return name if name in LIBRARIES and hasattr(data, "columns") else None


def rows_of(frame: Any) -> Iterator[Mapping[str, Any]]:
    """The rows of a data frame: column -> value."""
    if library_of(frame) == "pandas":
        yield from frame.to_dict("records")
    else:
        yield from frame.iter_rows(named=True)


def frame_like(
    frame: Any, columns: Mapping[str, NDArray[Any]], order: NDArray[np.integer] | None = None
) -> Any:
    """A data frame of the same library.

    Arguments:
        frame: gives the library and, in pandas, the index of its rows, if they have an order.
        columns: the values of each column, by its name.
        order: the numbers of the values that belong to the rows of the frame; None where values
            are not one for each of its rows.
    """
    library = library_of(frame)
    assert library is not None
    if order is not None:
        columns = {name: values[order] for name, values in columns.items()}
    made = sys.modules[library].DataFrame(dict(columns))
    if library == "pandas" and order is not None:
        made.index = frame.index
    return made
