"""The types that an option may have, and what is typed for one.

bool, int, float, str and None, `Literal` of such values, and unions of these.
"""

import math
import os
import typing
from collections.abc import Iterator
from types import UnionType
from typing import Any, Literal

PLAIN = (bool, int, float, str, type(None))
TRUTHS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
# Beyond it not every whole number is a float.
LARGEST = 2.0**53


def is_supported(kind: Any) -> bool:
    """Whether an option may have this type; `Any` is a type that isn't annotated."""
    if typing.get_origin(kind) is Literal:
        return all(type(value) in PLAIN for value in typing.get_args(kind))
    if _is_union(kind):
        return all(map(is_supported, typing.get_args(kind)))
    return kind is Any or kind in PLAIN


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is of the type; a float may be given as an int."""
    literals, types = _parted(kind)
    if any(type(value) is type(one) and value == one for one in literals):
        return True
    return type(value) in types or (float in types and type(value) is int)


def read(text: str, kind: Any) -> Any:
    """What a user typed, as a value of the type; the text itself where it is none.

    `null` is None and `~/` the home folder; a whole number may be written as 1e3 or 16.0.
    """
    literals, types = _parted(kind)
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
    """A path with the home folder for `~`, which not every shell puts there."""
    return os.path.expanduser(text) if text == "~" or text.startswith("~/") else text


def spell(value: Any) -> str:
    """A value as it is typed."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def is_text(kind: Any) -> bool:
    """Whether any text is a value of the type, or one of its choices."""
    literals, types = _parted(kind)
    return str in types or any(isinstance(one, str) for one in literals)


def choices(kind: Any) -> list[Any]:
    """The values of a `Literal`, None among them where the type has it; empty for other types."""
    literals, types = _parted(kind)
    return [*literals, None] if literals and type(None) in types else literals


def type_name(kind: Any) -> str:
    """`int or null`, `"before" or "after"`."""
    literals, types = _parted(kind)
    names = [f'"{one}"' if isinstance(one, str) else spell(one) for one in literals]
    names += ["null" if one is type(None) else one.__name__ for one in types]
    return "any" if kind is Any else " or ".join(names)


def annotation(kind: Any) -> str:
    """`int | None` as in a signature, and `'before' or 'after'` where there are choices."""
    literals, types = _parted(kind)
    names = [*map(repr, literals)]
    names += ["None" if one is type(None) else one.__name__ for one in types]
    return "Any" if kind is Any else (" or " if literals else " | ").join(names)


def _is_union(kind: Any) -> bool:
    return isinstance(kind, UnionType) or typing.get_origin(kind) is typing.Union


def _parts(kind: Any) -> Iterator[Any]:
    for one in typing.get_args(kind) if _is_union(kind) else (kind,):
        yield from _parts(one) if _is_union(one) else (one,)


def _parted(kind: Any) -> tuple[list[Any], list[type]]:
    """The values of its literals, and its other types."""
    if kind is Any:
        return [], list(PLAIN)
    parts = list(_parts(kind))
    literals = [one for one in parts if typing.get_origin(one) is Literal]
    values = [value for one in literals for value in typing.get_args(one)]
    return values, [one for one in parts if one not in literals]


def _number(text: str) -> int | float | None:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None


def _is_whole(number: float) -> bool:
    return math.isfinite(number) and number == number // 1 <= LARGEST
