"""Registries: components by name, checked when they are registered.

An option of a component is keyword-only with a plain default, or without one if it has to be given,
and can be configured; a wired argument is positional without a default. The signature is the whole
configuration schema.
"""

import importlib
import inspect
import re
import sys
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from structnet.registry.plugin import Plugin, PluginError, installed, load, owner_of, warn
from structnet.registry.signature import (
    check_option,
    check_options,
    check_wired,
    count_wired,
    declared,
    known_options,
    read_options,
    signature_of,
)
from structnet.registry.suggest import did_you_mean

# What can be a word on the command line and a key in YAML.
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
# These are read as other values than text.
RESERVED = ("null", "true", "false", "yes", "no", "on", "off", "nan", "inf")
C = TypeVar("C", bound=Callable)


class UnknownName(KeyError):
    """Nothing is registered under a name."""

    # KeyError would show the repr of its message.
    __str__ = Exception.__str__


class Registry:
    """Components of one kind by name: classes, or functions that make one.

    `base` is the class, as "module:Class", that all of them inherit from, `wired` how many
    positional arguments each is made with, `built_in` the modules that register those of the
    library; several numbers where it may take fewer. Where they are `made`, a function that says so
    by its annotation is a component too.
    """

    def __init__(
        self,
        kind: str,
        base: str | None = None,
        wired: int | tuple[int, ...] | None = None,
        *,
        built_in: Sequence[str] = (),
        made: bool = False,
    ):
        self.kind, self.base, self.made = kind, base, made
        self.wired = (wired,) if isinstance(wired, int) else wired
        self.built_in = built_in
        self._is_imported = False
        self._components: dict[str, Callable] = {}
        self._owners: dict[str, Plugin | None] = {}

    def register(self, name: str) -> Callable[[C], C]:
        """A decorator that registers a component under a name.

        ValueError if the name is taken or not valid, if the component is of another kind or takes
        other arguments, or if an option can't be configured.
        """
        # A component need not have a module, but the caller has.
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
        """Remove what a plugin has registered, and return the names."""
        mine = [name for name, owner in self._owners.items() if owner == plugin]
        for name in mine:
            del self._components[name], self._owners[name]
        return mine

    def plugin(self, name: str) -> Plugin | None:
        """The plugin that registered a component; None for the library's own."""
        return self._owners.get(name)

    def called(self, component: object) -> str:
        """What messages call a component: as "cell 'lstm'", by its class where that has no name."""
        made = type(component)
        name = next((name for name, one in self._components.items() if one is made), None)
        return made.__name__ if name is None else f"{self.kind} {name!r}"

    def unknown(self, name: Any, choices: Iterable[str]) -> UnknownName:
        """The error for an unknown name: the choices, and the plugins that failed to import."""
        causes = [_failed[owner] for owner in _failed if name in _lost.get((self.kind, owner), ())]
        causes = causes or list(_failed.values())
        message = f"no {self.kind} {name!r} {did_you_mean(name, choices)}"
        return UnknownName("; ".join([message, *causes]))

    def _check_kind(self, component: Any, what: str) -> None:
        """ValueError for anything but a subclass of `base`, or a function that returns one."""
        if self.base is None:
            return
        module, _, name = self.base.partition(":")
        base = getattr(importlib.import_module(module), name)
        if self.made and inspect.isfunction(component):
            made = typing.get_type_hints(component).get("return")
        else:
            made = component
        if not inspect.isclass(made) or not issubclass(made, base):
            raise ValueError(f"{what} is not a {name}: register a subclass of {name}, got {made!r}")
        if made is component and (missing := sorted(getattr(made, "__abstractmethods__", ()))):
            raise ValueError(f"{what} does not implement {', '.join(missing)} of {name}")

    def _check_arguments(self, component: Callable, what: str) -> None:
        """ValueError for an option that can't be configured, and for other wired arguments."""
        options = read_options(component, what)
        for option, (kind, default) in options.items():
            check_option(option, kind, default, f"option {option!r} of {what}")
        if self.wired is None:
            return
        signature = signature_of(component, what)
        reason = None
        for wired in self.wired:
            try:
                signature.bind(*[None] * wired, **dict.fromkeys(options))
                return
            except TypeError as error:
                reason = error
        raise ValueError(
            f"{what} has to take {' or '.join(map(str, self.wired))} positional arguments, and "
            f"options as keywords; its signature is {signature}: {reason}"
        ) from reason

    def __getitem__(self, name: str) -> Callable:
        self._load()
        if name not in self._components:
            raise self.unknown(name, self._components)
        return self._components[name]

    def create(self, name: str, /, *wired: Any, **options: Any) -> Any:
        """Create a component from its wired arguments and options.

        KeyError for an unknown name; ValueError for a missing argument or option, an unknown option
        or a value of another type.
        """
        component = self[name]
        check_wired(component, wired, f"{self.kind} {name!r}")
        if self.wired is not None and len(self.wired) > 1:
            wired = wired[: count_wired(component, f"{self.kind} {name!r}")]
        check_options(component, options, f"{self.kind} {name!r}")
        return component(*wired, **declared(component, options, f"{self.kind} {name!r}"))

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._components

    def names(self) -> list[str]:
        """The names of all components, sorted."""
        self._load()
        return sorted(self._components)

    def options(self, name: str) -> Mapping[str, tuple[type, Any]]:
        """The options of a component: name -> (type, default or `REQUIRED`)."""
        return known_options(self[name], f"{self.kind} {name!r}")

    def _load(self) -> None:
        """Import the library's components and every installed plugin."""
        if not self._is_imported:
            for module in self.built_in:
                importlib.import_module(module)
            self._is_imported = True
        load_plugins()

    def doc(self, name: str) -> str:
        """The first line of the component's docstring."""
        return (inspect.getdoc(self[name]) or "").split("\n")[0]


def _path(component: Callable) -> str:
    # Other callables than classes and functions have no names.
    parts = (getattr(component, name, None) for name in ("__module__", "__qualname__"))
    return ".".join(filter(None, parts)) or repr(component)


def _check_name(name: Any, what: str) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name) or name.lower() in RESERVED:
        raise ValueError(
            f"{what} has no valid name: use ASCII letters, digits, - and _, starting with a "
            f"letter, and none of {', '.join(RESERVED)}"
        )


cells = Registry("cell", "structnet.cell.base:Cell", 3, built_in=["structnet.cell.library"])
topologies = Registry("topology", "structnet.topology.base:Topology", 0)
readouts = Registry("readout", "structnet.nn.readout:Readout", 2, built_in=["structnet.nn.readout"])
heads = Registry(
    "head", "structnet.nn.head:Head", 2, built_in=["structnet.nn.head", "structnet.nn.crf"]
)
nets = Registry("net", "torch.nn:Module", (4, 5), built_in=["structnet.nn.net", "structnet.nn.own"])
tasks = Registry("task", "structnet.data.task:Task", 0, built_in=["structnet.data.own"], made=True)
executors = Registry(
    "executor",
    "structnet.execute.executor:Executor",
    0,
    built_in=["structnet.execute.builtin"],
)
KINDS = (tasks, topologies, cells, nets, readouts, heads, executors)

_loaded = False
# Plugin -> the cause of its failure; (kind, plugin) -> the names it had registered before.
_failed: dict[Plugin, str] = {}
_lost: dict[tuple[str, Plugin], list[str]] = {}


def load_plugins() -> None:
    """Import all installed plugins, once; those that fail are left out, with a warning."""
    global _loaded
    if _loaded:
        return
    # Set first, as a plugin may ask a registry for names while it is imported.
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
        warn(f"{cause}; its components are left out: fix or uninstall {plugin.owner}")


def failures() -> list[Plugin]:
    """The plugins that could not be imported."""
    load_plugins()
    return list(_failed)


def plugins() -> set[Plugin]:
    """The plugins that have registered a component."""
    load_plugins()
    return {p for kind in KINDS for p in kind._owners.values() if p is not None}


def _leave_out(plugin: Plugin, cause: str) -> None:
    _failed[plugin] = cause
    for kind in KINDS:
        _lost[kind.kind, plugin] = kind.forget(plugin)
