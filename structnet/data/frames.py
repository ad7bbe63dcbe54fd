"""Data frames of pandas and polars, known by their module: the libraries are not imported."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

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


def frame_like(frame: Any, columns: Mapping[str, Sequence[Any]]) -> Any:
    """A data frame of the same library.

    Arguments:
        frame: gives the library and, in pandas, the index, if it has as many rows.
        columns: the values of each column, by its name.
    """
    library = library_of(frame)
    assert library is not None
    made = sys.modules[library].DataFrame(dict(columns))
    if library == "pandas" and len(made) == len(frame):
        made.index = frame.index
    return made
