"""Values of a column as they are written: numbers, times or names."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

import structnet as sn

# What stands for a value that is missing, beside an empty one.
MISSING = {"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"}
# Truths are spelled as JSON has them, whichever program wrote them.
TRUTHS = {"True": "true", "TRUE": "true", "False": "false", "FALSE": "false"}
# Whole numbers from here on are not all float64: they are names, such as of users.
LARGEST = 2**53


def typed(values: Sequence[Any]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Values as a column, and how they are spelled where `names_of` the column does not say it.

    The column is of numbers or times if all values that are not missing are, else of names.
    """
    plain = [_plain(value) for value in values]
    texts = [one if one is None or isinstance(one, str) else _spelled(one) for one in plain]
    names = np.array(texts, object)
    found = _numbers(plain)
    if found is None:
        found = _times(texts)
    if found is None:
        return names, None
    return found, None if np.array_equal(names, names_of(found)) else names


def timed(values: Sequence[str | None]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """The same of texts that are no numbers, however they look: times or names."""
    texts = [_plain(value) for value in values]
    names = np.array(texts, object)
    found = None if all(one is None for one in texts) else _times(texts)
    return (names, None) if found is None else (found, names)


def _plain(value: Any) -> Any:
    """A value, or None where it is missing; a truth is the text of one."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return None if value in MISSING else TRUTHS.get(value, value)
    return None if isinstance(value, float) and math.isnan(value) else value


def _numbers(values: Sequence[Any]) -> NDArray[np.float64] | None:
    found = np.full(len(values), np.nan)
    for row, value in enumerate(values):
        if value is None:
            continue
        number = as_number(value)
        if number is None or (abs(number) >= LARGEST and _is_whole(value)):
            return None
        found[row] = number
    return found


def _is_whole(value: Any) -> bool:
    """Whether a value is written as a whole number is, without point and exponent."""
    return isinstance(value, int) or (
        isinstance(value, str) and value.strip().lstrip("+-").isdigit()
    )


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
    local = found.copy()
    for row, value in enumerate(values):
        if value is None:
            continue
        # A number alone is no time, and neither is a word.
        if len(value) < 8 or not value[:4].isdigit() or value.isdigit():
            return None
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            return None
        offset = time.utcoffset()
        local[row] = time = time.replace(tzinfo=None)
        found[row] = time if offset is None else time - offset
    return local if are_days(local) else found


def are_days(times: NDArray[Any]) -> bool:
    """Whether all times are the beginnings of days."""
    known = times[~np.isnat(times)]
    return bool((known == known.astype("datetime64[D]")).all())


def _spelled(value: float) -> str:
    if isinstance(value, sn.Spelled):
        return value.spelling
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
