"""Tables of Arrow: Parquet files, and data frames of pandas and polars."""

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.tables.table import Table, refuse_large
from structnet.plugins.tables.values import LARGEST, are_days, timed

# What pandas calls the index of a frame in Arrow, where it has no name: it is no column.
INDEX = re.compile(r"__index_level_\d+__")


def read_parquet(path: Path, ignore: Collection[str]) -> Table:
    arrow = require_arrow(str(path))
    from pyarrow import parquet

    sn.check_file(path)
    try:
        file = parquet.ParquetFile(path)
        groups = range(file.metadata.num_row_groups)
        size = sum(file.metadata.row_group(at).total_byte_size for at in groups)
        refuse_large(path, size * 2)
        return from_arrow(file.read(), str(path), ignore)
    except (arrow.ArrowException, OSError) as error:
        raise ValueError(f"{path} is no Parquet file that can be read: {error}") from error


def parquet_groups(path: Path, ignore: Collection[str]) -> Iterator[Table]:
    """The row groups of a Parquet file, one after the other."""
    arrow = require_arrow(str(path))
    from pyarrow import parquet

    sn.check_file(path)
    try:
        file = parquet.ParquetFile(path)
        first = 1
        for at in range(file.metadata.num_row_groups):
            refuse_large(path, file.metadata.row_group(at).total_byte_size * 2)
            table = from_arrow(file.read_row_group(at), str(path), ignore)
            yield replace(table, lines=table.lines + first - 1)
            first += len(table)
    except (arrow.ArrowException, OSError) as error:
        raise ValueError(f"{path} is no Parquet file that can be read: {error}") from error


def require_arrow(what: str) -> Any:
    try:
        import pyarrow
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{what} is read by pyarrow, which is not installed: pip install -e '.[tables]', or "
            "write a CSV file"
        ) from error
    return pyarrow


def read_frame(frame: Any, ignore: Collection[str]) -> Table:
    """The table of a data frame; ValueError for one without rows, or with values of two kinds."""
    arrow = require_arrow("a data frame")
    try:
        table = arrow.table(frame)
    except arrow.ArrowException as error:
        said = "; ".join(map(str, error.args))
        raise ValueError(
            f"the data frame can't be read: {said}; the values of a column are all numbers, all "
            "texts or all times: mend them, or leave the column out of the frame"
        ) from error
    if not len(table):
        raise ValueError(f"the data frame has no rows, but columns {table.column_names}")
    return from_arrow(table, "the data frame", ignore)


def from_arrow(table: Any, path: str, ignore: Collection[str]) -> Table:
    """The table of one of Arrow, whose columns of texts are times or names."""
    left_out = {*map(str, table.column_names)}.intersection(ignore)
    made = Table(path, {}, np.arange(1, len(table) + 1), "row", ignored=left_out)
    for at, name in enumerate(map(str, table.column_names)):
        if name in ignore or INDEX.fullmatch(name):
            continue
        values, texts = _of_arrow(table.column(at), path, name), None
        if values.dtype == object:
            values, texts = timed(values.tolist())
        made.columns[name] = values
        if texts is not None:
            made.texts[name] = texts
    return made


def _of_arrow(values: Any, path: str, name: str) -> NDArray[Any]:
    """A column of Arrow as an array."""
    import pyarrow as pa
    from pyarrow import compute

    kind = values.type
    if pa.types.is_dictionary(kind):
        if not pa.types.is_integer(kind.value_type) and not pa.types.is_floating(kind.value_type):
            return np.array(values.to_pylist(), object)
        values, kind = values.cast(kind.value_type), kind.value_type
    if pa.types.is_null(kind):
        return np.full(len(values), np.nan)
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        local = compute.local_timestamp(values)  # pyright: ignore
        times = local.cast(pa.timestamp("us")).to_numpy().astype("datetime64[us]")
        if are_days(times):
            return times
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return values.cast(pa.timestamp("us")).to_numpy().astype("datetime64[us]")
    if pa.types.is_boolean(kind):
        truths = [None if one is None else str(one).lower() for one in values.to_pylist()]
        return np.array(truths, object)
    if pa.types.is_integer(kind):
        least, most = compute.min_max(values).as_py().values()  # pyright: ignore
        if least is not None and max(-least, most) >= LARGEST:
            values, kind = values.cast(pa.string()), pa.string()
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return values.cast(pa.float64()).to_numpy().astype(np.float64)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or str(kind) == "string_view":
        return np.array(values.to_pylist(), object)
    raise ValueError(
        f"{path}, column {name!r}: values of type {kind}, expected numbers, texts, truths or "
        f"times; leave it out with task.ignore=[{name}]"
    )
