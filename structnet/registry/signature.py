"""Options of components, read from their signatures, and the checks of values against them."""

import inspect
import math
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any

from structnet.registry.option_types import (
    PLAIN,
    annotation,
    as_declared,
    choices,
    fits,
    is_supported,
)
from structnet.registry.suggest import close_to, did_you_mean

OPTION = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
# The default of an option that has none, and has to be given.
REQUIRED: Any = inspect.Parameter.empty


def signature_of(component: Callable, what: str = "") -> inspect.Signature:
    """The signature of a component, with evaluated annotations.

    If the `__init__` of a class takes `**options`, these are passed to `super().__init__`: in their
    place stand the keyword-only arguments of the next base class that has an `__init__`, which may
    do the same. A class attribute `options_of`, {other component: names}, says which of its options
    `**options` are, too. Of arguments with the same name the first counts. ValueError if an
    annotation can't be evaluated.

    Arguments:
        component: a class, or a function.
        what: the component's name in error messages; by default its qualified name.
    """
    what = what or getattr(component, "__qualname__", repr(component))
    if not inspect.isclass(component):
        return inspect.Signature(_parameters(component, what))
    found: dict[str, inspect.Parameter] = {}
    rest: list[inspect.Parameter] = []
    for one in (one for one in component.__mro__[:-1] if "__init__" in vars(one)):
        # The first parameter is the instance.
        own = _parameters(vars(one)["__init__"], what)[1:]
        others = [each for each in own if each.kind is each.VAR_KEYWORD]
        kept = [each for each in own if each.kind is each.KEYWORD_ONLY or not (found or rest)]
        for each in [*kept, *_options_of(one)]:
            if each not in others:
                found.setdefault(each.name, each)
        if not others:
            return inspect.Signature([*found.values()])
        rest = rest or others
    takes_more = not any("options_of" in vars(one) for one in component.__mro__)
    return inspect.Signature([*found.values(), *(rest if takes_more else [])])


def _options_of(one: type) -> list[inspect.Parameter]:
    """The arguments that a class says are options of others."""
    return [
        signature_of(other).parameters[name]
        for other, names in vars(one).get("options_of", {}).items()
        for name in names
    ]


def read_options(component: Callable, what: str) -> Mapping[str, tuple[Any, Any]]:
    """The options of a component, its keyword-only arguments: name -> (type, default).

    The default of an option that is required is `REQUIRED`. ValueError for a default that is not
    plain.
    """
    options = {}
    for parameter in signature_of(component, what).parameters.values():
        if parameter.kind is not parameter.KEYWORD_ONLY:
            continue
        option_type, default = parameter.annotation, parameter.default
        if option_type is parameter.empty:
            option_type = type(default) if default not in (None, REQUIRED) else Any
        is_plain = type(default) in PLAIN or isinstance(default, list | tuple)
        if default is not REQUIRED and not is_plain:
            raise ValueError(
                f"option {parameter.name!r} of {what} needs a default that is a bool, int, float, "
                f"str, None, or a list of such values, got {default!r}; arguments that can't be "
                "configured are positional"
            )
        options[parameter.name] = (option_type, default)
    return MappingProxyType(options)


# For registered components, which are never freed.
known_options = cache(read_options)


def check_wired(component: Callable, wired: Sequence[Any], what: str) -> None:
    """ValueError if positional arguments are missing."""
    needed = [
        parameter.name
        for parameter in signature_of(component, what).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        and parameter.default is parameter.empty
    ]
    if missing := needed[len(wired) :]:
        raise ValueError(
            f"{what} takes the arguments ({', '.join(needed)}); {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing"
        )


def count_wired(component: Callable, what: str) -> int | None:
    """The number of positional arguments that a component takes; None for any number."""
    kinds = [one.kind for one in signature_of(component, what).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(kind in positional for kind in kinds)


def check_options(component: Callable, options: Mapping[str, Any], what: str) -> None:
    """ValueError for an unknown or a missing option, and for a value of another type."""
    known = read_options(component, what)
    for option, value in options.items():
        if option not in known:
            raise ValueError(f"no option {option!r} of {what} {did_you_mean(option, known)}")
        check_value(value, known[option][0], option, what)
    for option, (_, default) in known.items():
        if default is REQUIRED and option not in options:
            raise ValueError(f"option {option!r} of {what} is required, and is not given")


def declared(component: Callable, options: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Options that were checked, as the component takes them: lists as tuples where it says so."""
    known = read_options(component, what)
    return {option: as_declared(value, known[option][0]) for option, value in options.items()}


def check_keywords(made: type, keywords: Mapping[str, Any]) -> None:
    """TypeError for an argument that a class does not take, ValueError for none of its choices."""
    known = signature_of(made).parameters
    takes_more = any(one.kind is one.VAR_KEYWORD for one in known.values())
    for name, value in keywords.items():
        if name not in known and not takes_more:
            raise TypeError(f"{made.__name__} has no argument {name!r} {did_you_mean(name, known)}")
        if name in known and choices(known[name].annotation):
            check_value(value, known[name].annotation, name, made.__name__)


def check_value(
    value: Any, option_type: Any, option: str, what: str, spell: Callable[[Any], str] = annotation
) -> None:
    """ValueError for a value that is not finite or not of the option's type.

    Arguments:
        value, option_type, option: the value, and the type and name of the option it is for.
        what: what has the option.
        spell: how the type is written in the message.
    """
    for one in value if isinstance(value, list | tuple) else (value,):
        if isinstance(one, float) and not math.isfinite(one):
            raise ValueError(f"option {option!r} of {what} must be finite, got {one}")
    if fits(value, option_type):
        return
    if not choices(option_type):
        raise ValueError(f"option {option!r} of {what} takes {spell(option_type)}, got {value!r}")
    close = close_to(value, [one for one in choices(option_type) if isinstance(one, str)])
    hint = f"; did you mean {close!r}?" if close else ""
    raise ValueError(f"{what}: option {option!r} is {spell(option_type)}, got {value!r}{hint}")


def _parameters(function: Callable, what: str) -> list[inspect.Parameter]:
    try:
        hints = typing.get_type_hints(function)
    except (NameError, TypeError) as error:
        raise ValueError(f"the annotations of {what} can't be read: {error}") from error
    found = inspect.signature(function).parameters.values()
    return [one.replace(annotation=hints.get(one.name, one.annotation)) for one in found]


def check_option(option: str, option_type: Any, default: Any, what: str) -> None:
    """ValueError for an option that can't be configured: its name, its type or its default."""
    if not OPTION.fullmatch(option):
        raise ValueError(
            f"{what} has no valid name: use ASCII letters, digits and _, starting with a letter"
        )
    if option == "name":
        raise ValueError(f"{what} is reserved for the name of the component; rename it")
    if not is_supported(option_type):
        given = "" if default is REQUIRED else f" and the default {default!r}"
        raise ValueError(
            f"{what} has the type {inspect.formatannotation(option_type)}{given}: use bool, int, "
            "float, str, None, Literals of such values, list[...] or tuple[...] of these, or unions"
        )
    if default is not REQUIRED and not fits(default, option_type):
        raise ValueError(
            f"{what} is of type {annotation(option_type)}, but its default is {default!r}"
        )
