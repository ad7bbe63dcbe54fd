"""The targets of own data: classes, or numbers."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.tables.table import Table
from structnet.plugins.tables.values import as_number, names_of

Goal = Literal["class", "number"]
# A column of whole numbers with at most this many different ones is taken for classes.
MOST_CLASSES = 20
# What a column of targets is often called, in small letters.
TARGETS = ("label", "target", "class", "y", "outcome")


def infer_goal(table: Table, names: Sequence[str], given: Goal | None) -> Goal:
    """Whether columns hold classes or numbers; several columns are numbers."""
    if given == "class" and len(names) > 1:
        raise ValueError(f"task.goal=class takes one column in task.target, got {list(names)}")
    if given is not None:
        return given
    if len(names) > 1:
        return "number"
    values = table.columns[names[0]]
    if values.dtype != np.float64:
        return "class"
    known = np.unique(values[~np.isnan(values)])
    whole = bool((known == np.floor(known)).all())
    return "class" if whole and len(known) <= MOST_CLASSES else "number"


def classes_of(values: NDArray[Any]) -> list[str]:
    """The classes of training targets in order: of numbers by size, else by name.

    A number is one class however it is written; whole ones have no point.
    """
    known = sorted({one for one in names_of(values) if one is not None})
    found = {as_number(one): one for one in reversed(known)}
    if None in found:
        return known
    numbers = sorted(number for number in found if number is not None)
    whole = all(number.is_integer() for number in numbers)
    return [str(int(number)) if whole else found[number] for number in numbers]


def encode_classes(
    table: Table, name: str, classes: Sequence[str], refuse: bool = True
) -> NDArray[np.int64]:
    """The index of each row's class, IGNORE where it has none.

    Arguments:
        table, name: the rows and their column.
        classes: in order.
        refuse: whether other classes are a ValueError, which names the row; else they are IGNORE.
    """
    index: dict[Any, int] = {one: at for at, one in enumerate(classes)}
    numbers = {as_number(one): at for one, at in index.items()}
    found = np.full(len(table), sn.IGNORE, np.int64)
    for row, value in enumerate(table.names(name)):
        if value is None:
            continue
        number = as_number(value)
        at = index.get(value, sn.IGNORE if number is None else numbers.get(number, sn.IGNORE))
        if at == sn.IGNORE and refuse:
            raise table.refuse(
                row,
                name,
                value,
                f"a class of the training split: "
                f"{', '.join(classes)}; leave the row out, or add some to training",
            )
        found[row] = at
    return found


def encode_numbers(table: Table, names: Sequence[str]) -> NDArray[np.float64]:
    """The numbers of rows, NaN where missing: (n,), of several columns (n, T)."""
    columns = []
    for name in names:
        values = table.columns[name]
        if values.dtype != np.float64:
            numbers = [as_number(one) for one in names_of(values) if one is not None]
            known = [row for row, one in enumerate(names_of(values)) if one is not None]
            wrong = [row for row, one in zip(known, numbers, strict=True) if one is None]
            if wrong:
                raise table.refuse(
                    wrong[0], name, names_of(values)[wrong[0]],
                    "a number to predict; leave it empty if unknown, or set task.goal=class",
                )  # fmt: skip
            values = np.full(len(values), np.nan)
            values[known] = numbers
        infinite = np.isinf(values)
        if infinite.any():
            row = int(infinite.argmax())
            raise table.refuse(row, name, values[row], "a finite number to predict")
        columns.append(values)
    return columns[0] if len(names) == 1 else np.stack(columns, 1)
