"""The plugins that a run needs: saved with its net, and named in errors when one is missing.

They are never imported because a run directory lists them: it may come from anyone.
"""

import shlex
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from structnet import registry
from structnet.registry.plugin import PluginWarning, plugin_files
from structnet.run.plain import read_json


def needed(config: Mapping[str, Any]) -> list[dict[str, str | None]]:
    """What registers a configuration's components, but for structnet itself, as plain data."""
    chosen = [known for known in registry.KINDS if config.get(known.kind) is not None]
    sources = [_source(known, config[known.kind]["name"]) for known in chosen]
    return [one for at, one in enumerate(sources) if one and one not in sources[:at]]


def missing(directory: str | Path) -> list[str]:
    """A sentence for each plugin that a run needs and that is missing here: how to add it."""
    return [f"this run needs {words}" for one in _saved(directory) if (words := _how_to_add(one))]


def warn_of_others(directory: str | Path) -> None:
    """Warn if a distribution has another version than the one the run was trained with."""
    here = {p.distribution: p.version for p in registry.plugins() if p.distribution is not None}
    for one in _saved(directory):
        name, version = one.get("distribution"), one.get("version")
        if name is not None and here.get(name, version) != version:
            warnings.warn(
                f"{directory} was trained with {name} {version}, installed is {here[name]}",
                PluginWarning,
                stacklevel=2,
            )


def _source(known: registry.Registry, name: str) -> dict[str, str | None] | None:
    """The file, distribution or module that registers a component; None for structnet itself."""
    plugin, module = known.plugin(name), known[name].__module__
    if (module if plugin is None else plugin.module).split(".")[0] == "structnet":
        return None
    if plugin is None:
        program = getattr(sys.modules["__main__"], "__file__", None)
        # What is typed into a notebook is of a program that has no file.
        return (
            {"file": Path(program).name} if module == "__main__" and program else {"module": module}
        )
    if plugin.distribution is None:
        return {"file": plugin.name}
    return {"distribution": plugin.distribution, "version": plugin.version}


def _how_to_add(one: Mapping[str, Any]) -> str | None:
    """How to add a plugin; None if it is there."""
    file, name = one.get("file"), one.get("distribution")
    if isinstance(file, str):
        if Path(file).name in (Path(here).name for here in plugin_files()):
            return None
        word = shlex.quote(file)
        return f"the plugin file {word}: add --plugin {word}, or import it in Python"
    module = one.get("module")
    if module == "__main__":
        return (
            "a component that was typed into a notebook or prompt: register it there again, or put "
            "it into a file and add --plugin FILE"
        )
    if isinstance(module, str):
        how = "import it in Python, or add --plugin with its file"
        return None if module in sys.modules else f"the module {module}: {how}"
    if any(plugin.distribution == name for plugin in registry.plugins()):
        return None
    return f"the distribution {name} {one.get('version')}, which is not installed here"


def _saved(directory: str | Path) -> list[Mapping[str, Any]]:
    """The plugins that a run has saved; none if its file is missing or damaged."""
    try:
        found = read_json(Path(directory) / "config.json")["plugins"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [one for one in found if _is_plugin(one)] if isinstance(found, list) else []


def _is_plugin(one: Any) -> bool:
    return isinstance(one, dict) and all(isinstance(value, str | None) for value in one.values())
