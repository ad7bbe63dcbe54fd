"""Values of a column as they are written: numbers, times or names."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What stands for a value that is missing, beside an empty one.
MISSING = {"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"}
# Larger whole numbers are not all float64: they are names, such as of users.
LARGEST = 2**53


def typed(values: Sequence[Any]) -> NDArray[Any]:
    """Values as a column: numbers or times if all that are not missing are, else names."""
    plain = [None if value is None or value in MISSING else value for value in values]
    found = _numbers(plain)
    if found is not None:
        return found
    texts = [one if one is None or isinstance(one, str) else _spelled(one) for one in plain]
    found = _times(texts)
    return np.array(texts, object) if found is None else found


def _numbers(values: Sequence[Any]) -> NDArray[np.float64] | None:
    found = np.full(len(values), np.nan)
    for row, value in enumerate(values):
        if value is None:
            continue
        number = as_number(value)
        if number is None or (number.is_integer() and abs(number) > LARGEST):
            return None
        found[row] = number
    return found


def as_number(value: Any) -> float | None:
    """The number that a value is or is written as; None for none."""
    if isinstance(value, str):
        digits = value.strip().lstrip("+-")
        # Leading zeros are those of names, such as postal codes.
        is_name = len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
        if is_name or "_" in value or not value.isascii():
            return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _times(values: Sequence[str | None]) -> NDArray[Any] | None:
    found = np.full(len(values), np.datetime64("NaT"), "datetime64[us]")
    for row, value in enumerate(values):
        if value is None:
            continue
        # A number alone is no time, and neither is a word.
        if len(value) < 8 or not value[:4].isdigit():
            return None
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            return None
        if (offset := time.utcoffset()) is not None:
            time = time.replace(tzinfo=None) - offset
        found[row] = time
    return found


def _spelled(value: float) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def names_of(values: NDArray[Any]) -> NDArray[Any]:
    """The values of a column as names: str, None where missing; whole numbers without a point."""
    if values.dtype == object:
        return values
    missing = np.isnat(values) if values.dtype.kind == "M" else np.isnan(values)
    if values.dtype.kind == "M":
        texts = [str(one) for one in values]
    else:
        texts = [str(int(one)) if one.is_integer() else repr(one) for one in values.tolist()
                 if not math.isnan(one)]  # fmt: skip
        filled = iter(texts)
        texts = ["" if gone else next(filled) for gone in missing]
    return np.array([None if gone else text for gone, text in zip(missing, texts, strict=True)],
                    object)  # fmt: skip
