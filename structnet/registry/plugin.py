"""Plugins: entry points of distributions, and files given by the user.

A plugin that fails to import is reported with its name and the cause, whatever it raises.
"""

import importlib.util
import io
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

PLUGIN_GROUP = "structnet.plugins"
# Characters of a plugin's error message that are quoted at most.
LONGEST = 500


class PluginWarning(UserWarning):
    """A plugin could not be imported; all others can be used."""


class PluginError(ImportError):
    """A plugin could not be imported; the cause is chained."""


@dataclass(frozen=True)
class Plugin:
    """A module that registers components.

    Arguments:
        name: the name of the entry point, or the file as the user gave it.
        module: the name of the module.
        distribution: the distribution whose entry point it is; None for a file.
        version: the distribution's version.
    """

    name: str
    module: str
    distribution: str | None = None
    version: str | None = None

    @property
    def owner(self) -> str:
        return f"{self.distribution} {self.version}" if self.version else str(self.distribution)

    def __str__(self) -> str:
        if self.distribution is None:
            return f"plugin file {self.name}"
        return f"plugin {self.name!r} ({self.module}) of {self.owner}"


_known: list[Plugin] = []
# Commands that were imported.
_commands: list[Plugin] = []
_loading: list[Plugin] = []


def owner_of(module: str) -> Plugin | None:
    """The plugin that a module belongs to; None for the library itself."""
    mine = [p for p in _known if f"{module}.".startswith(f"{p.module}.")]
    if mine:
        return max(mine, key=lambda plugin: len(plugin.module))
    if module.split(".")[0] == "structnet":
        return None
    return _loading[-1] if _loading else None


def imported() -> list[Plugin]:
    """The plugins whose import has begun in this process, and plugin files."""
    return list(_known)


def plugin_files() -> list[str]:
    """The plugin files that were imported, as the user gave them."""
    return [plugin.name for plugin in _known if plugin.distribution is None]


def entry_points(group: str) -> Iterator[tuple[Plugin, metadata.EntryPoint]]:
    """The entry points of all installed distributions in a group, with what each names."""
    for entry_point in metadata.entry_points(group=group):
        owner = entry_point.dist
        named = (owner.name, owner.version) if owner else ("an unnamed distribution", None)
        module = entry_point.value.split(":")[0].strip()
        yield Plugin(entry_point.name, module, *named), entry_point


def installed() -> dict[Plugin, Callable[[], Any]]:
    """The plugins of all installed distributions, each with the function that imports it."""
    found: dict[Plugin, Callable[[], Any]] = {
        plugin: entry_point.load for plugin, entry_point in entry_points(PLUGIN_GROUP)
    }
    # All have to be known before the first is imported, as one may import another.
    _known.extend(plugin for plugin in found if plugin not in _known)
    return found


def warn(message: str) -> None:
    """Issue a PluginWarning, even if a plugin has turned warnings into errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", PluginWarning)
        warnings.warn(message, PluginWarning, stacklevel=3)


def load(plugin: Plugin, run: Callable[[], Any]) -> None:
    """Import a plugin; PluginError, with the cause, whatever it raises.

    What it prints to stdout goes to stderr, as programs may read our stdout.
    """
    _loading.append(plugin)
    printed = io.StringIO()
    with _interrupts() as interrupts:
        try:
            with redirect_stdout(printed):
                run()
        # A plugin may call sys.exit, or raise what is not an Exception.
        except BaseException as error:
            if interrupts:
                raise
            raise PluginError(f"{plugin} failed: {describe(error, plugin.module)}") from error
        finally:
            _loading.pop()
            if not printed.closed:
                sys.stderr.write(printed.getvalue())


def load_command(plugin: Plugin, run: Callable[[], Any]) -> None:
    """Import the module of a command, as `load` does; what it imports has the owner it has."""
    installed()
    load(plugin, run)
    _commands.append(plugin)


def load_file(name: str) -> Plugin:
    """Import a user's file of components.

    FileNotFoundError if there is none, ValueError if it is not a Python file, PluginError with
    file, line and cause if it fails.
    """
    path = Path(name).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"no plugin file {name}")
    module_name = _module_name(path)
    spec = importlib.util.spec_from_file_location(module_name, path.absolute())
    if spec is None or spec.loader is None:
        raise ValueError(f"plugin file {name} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    # Workers unpickle its classes by this name.
    sys.modules[module_name] = module
    plugin = Plugin(name, module_name)
    if plugin not in _known:
        _known.append(plugin)
    execute = spec.loader.exec_module
    load(plugin, lambda: execute(module))
    return plugin


def describe(error: BaseException, module: str = "") -> str:
    """An error's type, message and location, in `module` if possible, in one line."""
    try:
        message = error.msg if isinstance(error, SyntaxError) else str(error)
    # The error's class is the plugin's, and its __str__ may fail.
    except Exception:
        message = ""
    message = " ".join(message.split())
    if len(message) > LONGEST:
        message = f"{message[:LONGEST]}..."
    said = f"{type(error).__name__}: {message}" if message else type(error).__name__
    place = _place(error, module.split(".")[0])
    return f"{said} ({place})" if place else said


def _place(error: BaseException, package: str) -> str:
    """File and line of the innermost frame in a package, or else of the innermost frame."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    steps = list(traceback.walk_tb(error.__traceback__))
    inside = [
        step for step in steps if step[0].f_globals.get("__name__", "").split(".")[0] == package
    ]
    for frame, line in reversed(inside or steps):
        file = frame.f_code.co_filename
        if file not in (__file__, metadata.__file__) and not file.startswith("<frozen"):
            return f"{file}, line {line}"
    return ""


def _module_name(path: Path) -> str:
    """A unique module name for a file, as two folders may have files of the same name."""
    name, count = f"structnet_plugin_{path.stem}", 1
    while name in sys.modules and Path(sys.modules[name].__file__ or "") != path.absolute():
        count += 1
        name = f"structnet_plugin_{count}_{path.stem}"
    return name


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Record signals, which are not failures of a plugin, and pass them on to their handlers."""
    noted: list[int] = []
    handlers = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    # Only the main thread handles signals.
    if threading.current_thread() is not threading.main_thread():
        handlers.clear()

    def note(number: int, frame: Any) -> Any:
        noted.append(number)
        handler = handlers[signal.Signals(number)]
        return handler(number, frame) if callable(handler) else None

    mine = [one for one, handler in handlers.items() if callable(handler)]
    for one in mine:
        signal.signal(one, note)
    try:
        yield noted
    finally:
        for one in mine:
            signal.signal(one, handlers[one])


def blame(error: BaseException) -> str | None:
    """A message with the plugin that raised an error, the cause and its location, or None.

    None for errors outside of plugins, for those of the operating system, which name a file, and
    for a plugin's command that refuses its arguments.
    """
    if isinstance(error, OSError | PluginError):
        return None
    modules = [
        frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)
    ]
    if isinstance(error, ValueError) and any(p.module in modules for p in _commands):
        return None
    for module in reversed(modules):
        plugin = next(
            (p for p in (*_known, *_commands) if f"{module}.".startswith(f"{p.module}.")), None
        )
        if plugin is not None and not plugin.module.startswith("structnet."):
            return f"{plugin} failed: {describe(error, plugin.module)}"
    return None
