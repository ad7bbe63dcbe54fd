"""The types of options: bool, int, float, str, None, `Literal` of such values, and unions of these.

Values are checked against a type, and read from the text that a user typed.
"""

import math
import os
import typing
from collections.abc import Iterator
from types import UnionType
from typing import Any, Literal

PLAIN = (bool, int, float, str, type(None))
TRUTHS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
# Larger whole numbers are not all floats.
LARGEST = 2.0**53


def is_supported(option_type: Any) -> bool:
    """Whether an option may have this type; `Any` stands for a missing annotation."""
    if typing.get_origin(option_type) is Literal:
        return all(type(value) in PLAIN for value in typing.get_args(option_type))
    if _is_union(option_type):
        return all(map(is_supported, typing.get_args(option_type)))
    return option_type is Any or option_type in PLAIN


def fits(value: Any, option_type: Any) -> bool:
    """Whether a value is of the type; a float may be given as an int."""
    literals, types = _parted(option_type)
    if any(type(value) is type(one) and value == one for one in literals):
        return True
    return type(value) in types or (float in types and type(value) is int)


def read(text: str, option_type: Any) -> Any:
    """The value of the type that a text stands for, or the text itself if it stands for none.

    `null` is None, `~/` the home folder, and a whole number may be written as 1e3 or 16.0.
    """
    literals, types = _parted(option_type)
    for one in literals:
        if spell(one) == text:
            return one
    if type(None) in types and text == "null":
        return None
    if bool in types and text.lower() in TRUTHS:
        return TRUTHS[text.lower()]
    number = _number(text)
    if number is not None:
        if int in types and (type(number) is int or (_is_whole(number) and float not in types)):
            return int(number)
        if float in types:
            return float(number)
    return home(text) if str in types else text


def home(text: str) -> str:
    """A path with `~` expanded, as not every shell does it."""
    return os.path.expanduser(text) if text == "~" or text.startswith("~/") else text


def spell(value: Any) -> str:
    """A value as a user types it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def is_text(option_type: Any) -> bool:
    """Whether some text is a value of the type."""
    literals, types = _parted(option_type)
    return str in types or any(isinstance(one, str) for one in literals)


def choices(option_type: Any) -> list[Any]:
    """The values of a `Literal`, and None if the type has it; empty without a `Literal`."""
    literals, types = _parted(option_type)
    return [*literals, None] if literals and type(None) in types else literals


def type_name(option_type: Any) -> str:
    """The type for a user of the command line: `int or null`, `"before" or "after"`."""
    literals, types = _parted(option_type)
    names = [f'"{one}"' if isinstance(one, str) else spell(one) for one in literals]
    names += ["null" if one is type(None) else one.__name__ for one in types]
    return "any" if option_type is Any else " or ".join(names)


def annotation(option_type: Any) -> str:
    """The type for a programmer: `int | None`, or `'before' or 'after'` for choices."""
    literals, types = _parted(option_type)
    names = [*map(repr, literals)]
    names += ["None" if one is type(None) else one.__name__ for one in types]
    return "Any" if option_type is Any else (" or " if literals else " | ").join(names)


def _is_union(option_type: Any) -> bool:
    return isinstance(option_type, UnionType) or typing.get_origin(option_type) is typing.Union


def _parts(option_type: Any) -> Iterator[Any]:
    for one in typing.get_args(option_type) if _is_union(option_type) else (option_type,):
        yield from _parts(one) if _is_union(one) else (one,)


def _parted(option_type: Any) -> tuple[list[Any], list[type]]:
    """The values of a type's literals, and its other types."""
    if option_type is Any:
        return [], list(PLAIN)
    parts = list(_parts(option_type))
    literals = [one for one in parts if typing.get_origin(one) is Literal]
    values = [value for one in literals for value in typing.get_args(one)]
    return values, [one for one in parts if one not in literals]


def _number(text: str) -> int | float | None:
    for number_type in (int, float):
        try:
            return number_type(text)
        except ValueError:
            continue
    return None


def _is_whole(number: float) -> bool:
    return math.isfinite(number) and number == number // 1 <= LARGEST
