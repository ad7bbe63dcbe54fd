"""Commands by name: the built-in ones, and those of plugins.

A plugin's command is an entry point of group `structnet.commands`, NAME = "MODULE:run". Its module
has `run(words) -> int`, `HELP`, the text of `structnet help NAME`, and optionally `FLAGS`, the
flags that it takes beside those of every command. It is imported when the command is called;
`structnet --help` reads the first line of its docstring alone, "NAME: what it does.".
"""

import ast
import importlib
import importlib.util
import sys
import textwrap
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from structnet.cli import COMMANDS
from structnet.cli.usage import EVERYWHERE, FLAGS, HELP
from structnet.registry.plugin import Plugin, entry_points, load_command, warn
from structnet.system.terminal import visible

COMMAND_GROUP = "structnet.commands"
# Columns of a command's description in `structnet --help`.
WIDTH = 75
Run = Callable[[list[str]], int | None]


@dataclass(frozen=True)
class Command:
    """A command.

    Arguments:
        name: its name.
        help: the text of `structnet help NAME`.
        flags: the flags that it takes.
        load: imports its function.
    """

    name: str
    help: str
    flags: Collection[str]
    load: Callable[[], Run]


def names() -> list[str]:
    """The names of all commands; no command is imported."""
    return [*COMMANDS, *_of_plugins()]


def find(name: str) -> Command | None:
    """The command of a name; None if there is none, PluginError if a plugin's can't be imported."""
    if name in COMMANDS:
        module = f"structnet.cli.{name}"
        return Command(name, HELP[name], FLAGS[name], lambda: importlib.import_module(module).run)
    found = _of_plugins().get(name)
    return None if found is None else _import(name, *found)


def described() -> dict[str, str]:
    """What every command does, by name; no command is imported."""
    built_in = {name: HELP[name].split("\n", 1)[0].partition(": ")[2] for name in COMMANDS}
    return built_in | _described_plugins()


def _described_plugins() -> dict[str, str]:
    """What commands of plugins do, or whose they are."""
    found = {}
    for name, (plugin, _) in _of_plugins().items():
        about = visible(_first_line(plugin.module)).removeprefix(f"{name}: ").rstrip(".")
        found[name] = about or plugin.owner
    return found


def listed() -> str:
    """One line per command of a plugin, for `structnet --help`; none of them is imported."""
    found = _described_plugins()
    if not found:
        return ""
    lines = ["", "Commands of plugins; structnet help COMMAND shows their arguments:", ""]
    for name, about in found.items():
        about = textwrap.shorten(about, WIDTH, placeholder=" ...")
        lines.append(f"  structnet {visible(name):<12} {about}")
    return "\n".join([*lines, ""])


def _of_plugins() -> dict[str, tuple[Plugin, metadata.EntryPoint]]:
    """The commands of plugins by name, sorted; those whose name is taken are left out."""
    found: dict[str, tuple[Plugin, metadata.EntryPoint]] = {}
    for plugin, entry_point in sorted(entry_points(COMMAND_GROUP), key=_rank):
        name = plugin.name
        holder = "structnet" if name in COMMANDS else found[name][0].owner if name in found else ""
        if holder:
            warn(
                f"command {name!r} ({plugin.module}) of {plugin.owner} is left out: {holder} has a "
                f"command of that name; rename it or uninstall {plugin.owner}"
            )
        else:
            found[name] = plugin, entry_point
    return dict(sorted(found.items()))


def _rank(found: tuple[Plugin, metadata.EntryPoint]) -> tuple[bool, str, str]:
    """Ours come first, and the others in an order that does not depend on sys.path."""
    plugin, _ = found
    return plugin.distribution != "structnet", plugin.owner, plugin.module


def _import(name: str, plugin: Plugin, entry_point: metadata.EntryPoint) -> Command:
    def check() -> None:
        run, module = entry_point.load(), sys.modules[plugin.module]
        if not callable(run) or not isinstance(getattr(module, "HELP", None), str):
            raise AttributeError(
                f"the module of a command needs a function, here {entry_point.value!r}, and a text "
                "HELP"
            )

    load_command(plugin, check)
    module: Any = sys.modules[plugin.module]
    flags = (*getattr(module, "FLAGS", ()), *EVERYWHERE)
    return Command(name, module.HELP, flags, entry_point.load)


def _first_line(module: str) -> str:
    """The first line of a module's docstring, from its source; "" if it can't be read."""
    path: Sequence[str] | None = None
    spec = None
    try:
        for end in range(1, module.count(".") + 2):
            name = ".".join(module.split(".")[:end])
            # Not importlib.util.find_spec, which imports the packages above.
            found = (finder.find_spec(name, path) for finder in sys.meta_path)
            spec = next(filter(None, found), None)
            path = getattr(spec, "submodule_search_locations", None)
        source = spec.loader.get_source(module)  # pyright: ignore
        return (ast.get_docstring(ast.parse(source)) or "").split("\n")[0]
    # A plugin's file may be missing, unreadable or not Python; calling the command tells why.
    except Exception:
        return ""
