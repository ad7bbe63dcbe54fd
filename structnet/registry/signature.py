"""Options of components, read off their signatures, and values held against them."""

import difflib
import inspect
import math
import re
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any

from structnet.registry.option_types import PLAIN, annotation, choices, fits, is_supported

OPTION = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def did_you_mean(name: Any, choices: Iterable[str]) -> str:
    """`among [...]`, and the closest choice where one is close."""
    choices = sorted(choices)
    close = close_to(name, choices)
    return f"among {choices}" + (f"; did you mean {close!r}?" if close else "")


def close_to(name: Any, choices: Iterable[str]) -> str | None:
    """The closest choice where one is close, in capitals or not."""
    folded = {choice.casefold(): choice for choice in choices}
    close = difflib.get_close_matches(str(name).casefold(), folded, n=1)
    return folded[close[0]] if close else None


def signature_of(component: Callable, what: str = "") -> inspect.Signature:
    """The signature that a component is made by, with its annotations evaluated.

    Where the `__init__` of a class takes `**options` for `super().__init__`, they are the
    keyword-only arguments of the next base class that has an `__init__`, which may do the same.
    An argument that both name is the subclass's.
    """
    what = what or getattr(component, "__qualname__", repr(component))
    if not inspect.isclass(component):
        return inspect.Signature(_parameters(component, what))
    made_by = [vars(one)["__init__"] for one in component.__mro__[:-1] if "__init__" in vars(one)]
    # The first parameter is the instance.
    found = _parameters(made_by[0], what)[1:] if made_by else []
    for method in made_by[1:]:
        if not found or found[-1].kind is not inspect.Parameter.VAR_KEYWORD:
            break
        *found, _ = found
        named = {one.name for one in found}
        above = [one for one in _parameters(method, what) if one.name not in named]
        found += [one for one in above if one.kind in (one.KEYWORD_ONLY, one.VAR_KEYWORD)]
    return inspect.Signature(found)


def read_options(component: Callable, what: str) -> Mapping[str, tuple[Any, Any]]:
    """The configured arguments of a component: option -> (type, default)."""
    options = {}
    for parameter in signature_of(component, what).parameters.values():
        if parameter.kind is not parameter.KEYWORD_ONLY:
            continue
        kind, default = parameter.annotation, parameter.default
        if default is parameter.empty or type(default) not in PLAIN:
            given = "none" if default is parameter.empty else repr(default)
            raise ValueError(
                f"option {parameter.name!r} of {what} needs a default that is a bool, int, float, "
                f"str or None, got {given}; wired arguments are positional"
            )
        if kind is parameter.empty:
            kind = type(default) if default is not None else Any
        options[parameter.name] = (kind, default)
    return MappingProxyType(options)


# Of components, which stay; what else has options may go.
known_options = cache(read_options)


def check_wired(component: Callable, wired: Sequence[Any], what: str) -> None:
    """ValueError where positional arguments are missing."""
    needed = [
        parameter.name
        for parameter in signature_of(component, what).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        and parameter.default is parameter.empty
    ]
    if missing := needed[len(wired) :]:
        raise ValueError(
            f"{what} is made of ({', '.join(needed)}), in this order; {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing"
        )


def check_options(component: Callable, options: Mapping[str, Any], what: str) -> None:
    known = read_options(component, what)
    for option, value in options.items():
        if option not in known:
            raise ValueError(f"no option {option!r} of {what} {did_you_mean(option, known)}")
        check_value(value, known[option][0], option, what)


def check_value(
    value: Any, kind: Any, option: str, what: str, spell: Callable[[Any], str] = annotation
) -> None:
    """ValueError for a value that is not of the option's type, which is spelled for the reader."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"option {option!r} of {what} is a finite number, got {value}")
    if fits(value, kind):
        return
    if not choices(kind):
        raise ValueError(f"option {option!r} of {what} takes {spell(kind)}, got {value!r}")
    close = close_to(value, [one for one in choices(kind) if isinstance(one, str)])
    hint = f"; did you mean {close!r}?" if close else ""
    raise ValueError(f"{what}: option {option!r} is {spell(kind)}, got {value!r}{hint}")


def _parameters(function: Callable, what: str) -> list[inspect.Parameter]:
    try:
        hints = typing.get_type_hints(function)
    except (NameError, TypeError) as error:
        raise ValueError(f"the annotations of {what} can't be read: {error}") from error
    found = inspect.signature(function).parameters.values()
    return [one.replace(annotation=hints.get(one.name, one.annotation)) for one in found]


def check_option(option: str, kind: Any, default: Any, what: str) -> None:
    if not OPTION.fullmatch(option):
        raise ValueError(
            f"{what} is no word for the command line: take ASCII letters, digits and _"
        )
    if option == "name":
        raise ValueError(f"{what} is taken: a component's own name goes by it; rename the option")
    if not is_supported(kind):
        raise ValueError(
            f"{what} has the type {kind}: take bool, int, float, str, a Literal of them, or a union"
        )
    if not fits(default, kind):
        raise ValueError(
            f"{what} is of type {annotation(kind)}, which its default {default!r} is not"
        )
