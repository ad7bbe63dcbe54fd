"""The types of options: bool, int, float, str, None, `Literal` of such values, lists, and unions.

A list is `list[int]`, `tuple[int, ...]`, or `tuple[int, str]` for one of that length. Values are
checked against a type, and read from the text that a user typed.
"""

import math
import os
import re
import typing
from collections.abc import Callable, Iterator, Sequence
from types import UnionType
from typing import Any, Literal

PLAIN = (bool, int, float, str, type(None))
TRUTHS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
# Larger whole numbers are not all floats.
LARGEST = 2.0**53
# The most values of a list.
LONGEST = 1000
# A value among others that are separated by commas; one with a comma is quoted, or is a list.
PART = re.compile(r"""(?:^|,)(\s*(?:"[^"]*"|'[^']*'|\[[^]]*])\s*(?=,|$)|[^,]*)""")


def is_supported(option_type: Any) -> bool:
    """Whether an option may have this type; `Any` stands for a missing annotation."""
    if typing.get_origin(option_type) is Literal:
        return all(type(value) in PLAIN for value in typing.get_args(option_type))
    if _is_union(option_type):
        return all(map(is_supported, typing.get_args(option_type)))
    if _is_list(option_type):
        parts = [part for one in _items(option_type) for part in _parts(one)]
        return bool(parts) and all(is_supported(one) and not _is_list(one) for one in parts)
    return option_type is Any or option_type in PLAIN


def fits(value: Any, option_type: Any) -> bool:
    """Whether a value is of the type; a float may be given as an int."""
    literals, types = _parted(option_type)
    if any(type(value) is type(one) and value == one for one in literals):
        return True
    if isinstance(value, list | tuple):
        return any(_is_list(one) and _fits_list(value, one) for one in types)
    return type(value) in types or (float in types and type(value) is int)


def as_declared(value: Any, option_type: Any) -> Any:
    """A value that fits, as a component takes it: a list as a tuple where the type is one."""
    if isinstance(value, list | tuple):
        kinds = [one for one in _parted(option_type)[1] if _is_list(one) and _fits_list(value, one)]
        if kinds:
            return [*value] if typing.get_origin(kinds[0]) is list else tuple(value)
    return value


def read(text: str, option_type: Any) -> Any:
    """The value of the type that a text stands for, or the text itself if it stands for none.

    `null` is None, `~/` the home folder, `[a,b]` a list, and a whole number may be written as 1e3.
    """
    literals, types = _parted(option_type)
    if text[:1] == "[" and text[-1:] == "]":
        parts = [_unquoted(one, one.strip()) for one in _separated(text[1:-1])]
        if (values := change_items(parts, option_type, read)) is not None:
            return values
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


def split(text: str) -> list[str]:
    """The values that commas separate, without the quotes of one that is quoted."""
    return [_unquoted(one, one) for one in PART.findall(text)]


def change_items(
    values: Sequence[Any], option_type: Any, change: Callable[[Any, Any], Any]
) -> list[Any] | None:
    """Each value of a list, changed by `change(value, its type)`; None if no list type has them."""
    for one in filter(_is_list, _parted(option_type)[1]):
        kinds = _kinds(one, len(values))
        changed = [*map(change, values, kinds)]
        if len(kinds) == len(values) and fits(changed, one):
            return changed
    return None


def home(text: str) -> str:
    """A path with `~` expanded, as not every shell does it."""
    return os.path.expanduser(text) if text == "~" or text.startswith("~/") else text


def spell(value: Any) -> str:
    """A value as a user types it."""
    if value is None:
        return "null"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_spell_item, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def is_text(option_type: Any) -> bool:
    """Whether some text is a value of the type, or of a list's."""
    literals, types = _parted(option_type)
    lists = [item for one in types if _is_list(one) for item in _items(one)]
    texts = str in types or any(isinstance(one, str) for one in literals)
    return texts or any(map(is_text, lists))


def choices(option_type: Any) -> list[Any]:
    """The values of a `Literal`, and None if the type has it; empty without a `Literal`."""
    literals, types = _parted(option_type)
    return [*literals, None] if literals and type(None) in types else literals


def takes_lists(option_type: Any) -> bool:
    """Whether values are lists, or may be."""
    return any(map(_is_list, _parted(option_type)[1]))


def type_name(option_type: Any) -> str:
    """The type for a user of the command line: `int or null`, `"on" or "off"`, `[int,...]`."""
    literals, types = _parted(option_type)
    names = [f'"{one}"' if isinstance(one, str) else spell(one) for one in literals]
    names += [_type_name(one) for one in types]
    return "any" if option_type is Any else " or ".join(names)


def annotation(option_type: Any) -> str:
    """The type for a programmer: `int | None`, or `'before' or 'after'` for choices."""
    literals, types = _parted(option_type)
    names = [*map(repr, literals)]
    names += ["None" if one is type(None) else _annotation(one) for one in types]
    return "Any" if option_type is Any else (" or " if literals else " | ").join(names)


def _type_name(one: Any) -> str:
    if not _is_list(one):
        return "null" if one is type(None) else one.__name__
    more = "" if _is_fixed(one) else ",..."
    return f"[{','.join(map(type_name, _items(one)))}{more}]"


def _annotation(one: Any) -> str:
    return str(one) if _is_list(one) else one.__name__


def _is_list(option_type: Any) -> bool:
    return typing.get_origin(option_type) in (list, tuple)


def _is_fixed(list_type: Any) -> bool:
    """Whether a list has a given length: `tuple[int, str]`, not `tuple[int, ...]`."""
    return typing.get_origin(list_type) is tuple and ... not in typing.get_args(list_type)


def _items(list_type: Any) -> list[Any]:
    """The types of a list's values: one each where its length is given, else one for all."""
    return [one for one in typing.get_args(list_type) if one is not ...]


def _fits_list(values: Any, list_type: Any) -> bool:
    kinds = _kinds(list_type, len(values))
    return len(kinds) == len(values) <= LONGEST and all(map(fits, values, kinds))


def _kinds(list_type: Any, length: int) -> list[Any]:
    """The type of each value of a list of this length."""
    return _items(list_type) if _is_fixed(list_type) else _items(list_type) * length


def _spell_item(value: Any) -> str:
    """A value of a list as a user types it: in quotes where it would be read as another."""
    text = spell(value)
    if text and [one.strip() for one in split(text)] == [text]:
        return text
    return f"'{text}'" if '"' in text else f'"{text}"'


def _separated(text: str) -> list[str]:
    return PART.findall(text) if text.strip() else []


def _unquoted(text: str, otherwise: str) -> str:
    """What stands between quotes, and something else for a text without."""
    inner = text.strip()
    is_quoted = len(inner) > 1 and inner[0] in "\"'" and inner[-1] == inner[0]
    return inner[1:-1] if is_quoted else otherwise


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
