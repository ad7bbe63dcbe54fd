"""Name -> component, and the door through which plugins come in.

A configured argument of a component is keyword-only with a plain default; a wired one is positional
without a default. The signature is the whole configuration schema.
"""

import difflib
import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from types import MappingProxyType, UnionType
from typing import Any, TypeVar

PLAIN = (bool, int, float, str, type(None))
PLUGIN_GROUP = "structnet.plugins"
C = TypeVar("C", bound=Callable)


class UnknownName(KeyError):
    """A name that nothing is registered under."""

    # KeyError shows the repr of its message, which hides line breaks and doubles quotes.
    __str__ = Exception.__str__


class PluginError(ImportError):
    """A plugin that could not be imported; the cause is chained."""


def did_you_mean(name: Any, choices: Iterable[str]) -> str:
    """`among [...]`, and the closest choice where one is close."""
    choices = sorted(choices)
    close = difflib.get_close_matches(str(name), choices, n=1)
    return f"among {choices}" + (f"; did you mean {close[0]!r}?" if close else "")


class Registry:
    """Components of one kind by name: classes or functions."""

    def __init__(self, kind: str):
        self.kind = kind
        self._components: dict[str, Callable] = {}

    def register(self, name: str) -> Callable[[C], C]:
        """Decorator that registers a component.

        ValueError if the name is taken, or an option has no default or one that is not plain.
        """

        def add(component: C) -> C:
            taken = self._components.get(name)
            if taken is not None and _path(taken) != _path(component):
                raise ValueError(
                    f"two {self.kind}s named {name!r}: {_path(taken)} and {_path(component)}; "
                    "rename one of them"
                )
            read_options(component, f"{self.kind} {name!r}")
            self._components[name] = component
            return component

        return add

    def __getitem__(self, name: str) -> Callable:
        load_plugins()
        if name not in self._components:
            raise UnknownName(f"no {self.kind} {name!r} {did_you_mean(name, self._components)}")
        return self._components[name]

    def create(self, name: str, /, *wired: Any, **options: Any) -> Any:
        """A configured component; ValueError for an unknown option or a value of another type."""
        component = self[name]
        check_options(component, options, f"{self.kind} {name!r}")
        return component(*wired, **options)

    def names(self) -> list[str]:
        load_plugins()
        return sorted(self._components)

    def options(self, name: str) -> Mapping[str, tuple[type, Any]]:
        """Option -> (type, default)."""
        return read_options(self[name], f"{self.kind} {name!r}")

    def doc(self, name: str) -> str:
        """The first line of the component's docstring."""
        return (inspect.getdoc(self[name]) or "").split("\n")[0]


def read_options(component: Callable, what: str) -> Mapping[str, tuple[Any, Any]]:
    """The configured arguments of a component: option -> (type, default)."""
    options = {}
    hints = typing.get_type_hints(component.__init__ if inspect.isclass(component) else component)
    for parameter in inspect.signature(component).parameters.values():
        if parameter.kind is not parameter.KEYWORD_ONLY:
            continue
        default = parameter.default
        if default is parameter.empty or type(default) not in PLAIN:
            given = "none" if default is parameter.empty else repr(default)
            raise ValueError(
                f"option {parameter.name!r} of {what} needs a default that is a bool, int, float, "
                f"str or None, got {given}; wired arguments are positional"
            )
        kind = hints.get(parameter.name, type(default) if default is not None else Any)
        options[parameter.name] = (kind, default)
    return MappingProxyType(options)


def check_options(component: Callable, options: Mapping[str, Any], what: str) -> None:
    known = read_options(component, what)
    for option, value in options.items():
        if option not in known:
            raise ValueError(f"no option {option!r} of {what} {did_you_mean(option, known)}")
        kind = known[option][0]
        if not _fits(value, kind):
            name = getattr(kind, "__name__", str(kind))
            raise ValueError(f"option {option!r} of {what} takes {name}, got {value!r}")


def _fits(value: Any, kind: Any) -> bool:
    if kind is Any:
        return type(value) in PLAIN
    if isinstance(kind, UnionType) or typing.get_origin(kind) is typing.Union:
        return any(_fits(value, one) for one in typing.get_args(kind))
    if kind is float:
        return type(value) in (int, float)
    return type(value) is kind


def _path(component: Callable) -> str:
    return f"{component.__module__}.{component.__qualname__}"


cells = Registry("cell")
topologies = Registry("topology")
readouts = Registry("readout")
nets = Registry("net")
tasks = Registry("task")

_loaded = False


def load_plugins() -> None:
    """Import every installed plugin, once; PluginError names one that fails."""
    global _loaded
    if _loaded:
        return
    # Set first: a plugin may ask a registry for names while it is being imported.
    _loaded = True
    for entry_point in metadata.entry_points(group=PLUGIN_GROUP):
        try:
            entry_point.load()
        except Exception as error:
            _loaded = False
            owner = entry_point.dist
            owner = f"{owner.name} {owner.version}" if owner else "an unnamed distribution"
            raise PluginError(
                f"plugin {entry_point.name!r} ({entry_point.value}) of {owner} failed to import: "
                f"{type(error).__name__}: {error}; mend it or uninstall {owner}"
            ) from error
