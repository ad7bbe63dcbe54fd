"""Name -> component, and what is asked of one before it is let in.

A configured argument of a component is keyword-only with a plain default; a wired one is positional
without a default. The signature is the whole configuration schema.
"""

import importlib
import inspect
import re
import sys
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from structnet.registry.plugin import Plugin, PluginError, installed, load, owner_of, warn
from structnet.registry.signature import (
    check_option,
    check_options,
    check_wired,
    did_you_mean,
    known_options,
    read_options,
    signature_of,
)

# What a word on the command line and a key in a file can be.
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
# Read as another value than a word, there or in YAML.
NO_WORDS = ("null", "true", "false", "yes", "no", "on", "off", "nan", "inf")
C = TypeVar("C", bound=Callable)


class UnknownName(KeyError):
    """A name that nothing is registered under."""

    # KeyError shows the repr of its message, which hides line breaks and doubles quotes.
    __str__ = Exception.__str__


class Registry:
    """Components of one kind by name: classes, or functions that make one.

    `base` is the class, as "module:Class", that all of them inherit from, `wired` how many
    positional arguments each is made with, `built_in` the module that registers those of the
    library. Where they are `made`, a function that says so by its annotation is a component too.
    """

    def __init__(
        self,
        kind: str,
        base: str | None = None,
        wired: int | None = None,
        *,
        built_in: str | None = None,
        made: bool = False,
    ):
        self.kind, self.base, self.wired, self.made = kind, base, wired, made
        self.built_in = built_in
        self._components: dict[str, Callable] = {}
        self._owners: dict[str, Plugin | None] = {}

    def register(self, name: str) -> Callable[[C], C]:
        """Decorator that registers a component.

        ValueError if the name is taken or no plain word, if the component is of another kind or
        made with other arguments, or if an option has no default or one that is not plain.
        """
        # A component need not have a module; whoever registers it has one.
        owner = owner_of(sys._getframe(1).f_globals.get("__name__", ""))

        def add(component: C) -> C:
            what = f"{self.kind} {name!r}"
            taken = self._components.get(name) if isinstance(name, str) else None
            if taken is not None and _path(taken) != _path(component):
                raise ValueError(
                    f"two {self.kind}s named {name!r}: {_path(taken)} and {_path(component)}; "
                    "rename one of them"
                )
            self._check_kind(component, what)
            self._check_arguments(component, what)
            _check_name(name, what)
            self._components[name], self._owners[name] = component, owner
            return component

        return add

    def forget(self, plugin: Plugin) -> list[str]:
        """Drop what a plugin has registered; the names."""
        mine = [name for name, owner in self._owners.items() if owner == plugin]
        for name in mine:
            del self._components[name], self._owners[name]
        return mine

    def plugin(self, name: str) -> Plugin | None:
        """The plugin that registered a component; None for what is built in."""
        return self._owners.get(name)

    def unknown(self, name: Any, choices: Iterable[str]) -> UnknownName:
        """The error that names the choices, and the plugins that failed: one may have had it."""
        causes = [_failed[owner] for owner in _failed if name in _lost.get((self.kind, owner), ())]
        causes = causes or list(_failed.values())
        message = f"no {self.kind} {name!r} {did_you_mean(name, choices)}"
        return UnknownName("; ".join([message, *causes]))

    def _check_kind(self, component: Any, what: str) -> None:
        """ValueError for anything but a class of the kind, or a function that makes one."""
        if self.base is None:
            return
        module, _, name = self.base.partition(":")
        base = getattr(importlib.import_module(module), name)
        if self.made and inspect.isfunction(component):
            made = typing.get_type_hints(component).get("return")
        else:
            made = component
        if not inspect.isclass(made) or not issubclass(made, base):
            raise ValueError(
                f"{what} is no {name}: register a class that inherits from {name}, got {made!r}"
            )
        if made is component and (missing := sorted(getattr(made, "__abstractmethods__", ()))):
            raise ValueError(f"{what} lacks the method {', '.join(missing)} that a {name} has")

    def _check_arguments(self, component: Callable, what: str) -> None:
        """ValueError for an option that cannot be configured, and for others than the wired."""
        options = read_options(component, what)
        for option, (kind, default) in options.items():
            check_option(option, kind, default, f"option {option!r} of {what}")
        if self.wired is None:
            return
        signature = signature_of(component, what)
        try:
            signature.bind(*[None] * self.wired, **dict.fromkeys(options))
        except TypeError as error:
            raise ValueError(
                f"{what} is made with {self.wired} positional arguments, options being keywords "
                f"with defaults; its signature is {signature}: {error}"
            ) from error

    def __getitem__(self, name: str) -> Callable:
        self._load()
        if name not in self._components:
            raise self.unknown(name, self._components)
        return self._components[name]

    def create(self, name: str, /, *wired: Any, **options: Any) -> Any:
        """A configured component; ValueError for an unknown option or a value of another type."""
        component = self[name]
        check_wired(component, wired, f"{self.kind} {name!r}")
        check_options(component, options, f"{self.kind} {name!r}")
        return component(*wired, **options)

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._components

    def names(self) -> list[str]:
        self._load()
        return sorted(self._components)

    def options(self, name: str) -> Mapping[str, tuple[type, Any]]:
        """Option -> (type, default)."""
        return known_options(self[name], f"{self.kind} {name!r}")

    def _load(self) -> None:
        """Import the library's components and every installed plugin."""
        if self.built_in is not None:
            importlib.import_module(self.built_in)
        load_plugins()

    def doc(self, name: str) -> str:
        """The first line of the component's docstring."""
        return (inspect.getdoc(self[name]) or "").split("\n")[0]


def _path(component: Callable) -> str:
    # What is no class or function has no names of its own.
    parts = (getattr(component, name, None) for name in ("__module__", "__qualname__"))
    return ".".join(filter(None, parts)) or repr(component)


def _check_name(name: Any, what: str) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name) or name.lower() in NO_WORDS:
        raise ValueError(
            f"{what} is no word for the command line: take ASCII letters, digits, - and _, a "
            f"letter first, and none of {', '.join(NO_WORDS)}"
        )


cells = Registry("cell", "structnet.cell.base:Cell", 3, built_in="structnet.cell.library")
topologies = Registry("topology", "structnet.topology.base:Topology", 0)
readouts = Registry("readout", "structnet.nn.readout:Readout", 2, built_in="structnet.nn.readout")
nets = Registry("net", "torch.nn:Module", 4, built_in="structnet.nn.net")
tasks = Registry("task", "structnet.data.task:Task", 0, made=True)
KINDS = (tasks, topologies, cells, nets, readouts)

_loaded = False
# Plugin -> what it failed of, and (kind, plugin) -> the names it had registered until then.
_failed: dict[Plugin, str] = {}
_lost: dict[tuple[str, Plugin], list[str]] = {}


def load_plugins() -> None:
    """Import every installed plugin, once; a warning names one that fails, and it is left out."""
    global _loaded
    if _loaded:
        return
    # Set first: a plugin may ask a registry for names while it is being imported.
    _loaded = True
    try:
        for plugin, run in installed().items():
            try:
                load(plugin, run)
            except PluginError as error:
                _leave_out(plugin, str(error))
    except BaseException:
        _loaded = False
        raise
    for plugin, cause in _failed.items():
        way = f"mend it or uninstall {plugin.owner}"
        warn(f"{cause}; its components are left out: {way}")


def plugins() -> set[Plugin]:
    """The plugins that have registered a component."""
    load_plugins()
    return {p for kind in KINDS for p in kind._owners.values() if p is not None}


def _leave_out(plugin: Plugin, cause: str) -> None:
    _failed[plugin] = cause
    for kind in KINDS:
        _lost[kind.kind, plugin] = kind.forget(plugin)
