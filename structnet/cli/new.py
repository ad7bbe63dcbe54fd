"""new: a package of your own with a cell, a topology and their tests, ready to be installed."""

import keyword
import re
from collections.abc import Sequence
from importlib import metadata, util
from pathlib import Path
from shlex import quote

from structnet.config.listing import components
from structnet.registry.suggest import did_you_mean
from structnet.system.files import new_folder
from structnet.system.terminal import visible
from structnet.system.words import command_line, take_options

KINDS = ("plugin",)
TEMPLATE, SUFFIX = Path(__file__).with_name("template"), ".in"
# What stands for the plugin's name in the template's files, and in their names.
PLACEHOLDER = "NAME"
VALID = re.compile(r"[a-z](?:[a-z0-9_]{0,38}[a-z0-9])?")
# Name -> what it is already.
RESERVED = {
    "structnet": "the library's",
    "tests": "that of the folder of tests",
    "build": "that of a folder of setuptools",
    "dist": "that of a folder of setuptools",
} | dict.fromkeys(keyword.kwlist, "a keyword of Python")
# Group -> the name that the template registers in it.
REGISTERED = {"cell": f"{PLACEHOLDER}_cell", "topology": f"{PLACEHOLDER}_topology"}


def run(words: list[str]) -> int:
    name, given = _read(words)
    out = Path(given.get("out", name)).expanduser()
    _check_name(name, out)
    _check_new(name, out)
    _check_free(name)
    with new_folder(out) as temporary:
        _write(name, temporary)
    registered = [f"{group} {_named(text, name)}" for group, text in REGISTERED.items()]
    print(visible(f"plugin: {out} ({', '.join(registered)})"))
    print("try next:")
    for line in _next(name, out):
        print(visible(f"  {line}"))
    return 0


def _read(words: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The plugin's name and the options; ValueError where a word is missing or too many."""
    kind, *others = words or [""]
    if kind not in KINDS:
        said = f"no template {kind!r} {did_you_mean(kind, KINDS)}" if kind else "new needs a word"
        raise ValueError(f"{said}; write {_command('NAME')}")
    names = [word for word in others if "=" not in word]
    if len(names) != 1:
        found = f"got {', '.join(map(repr, names))}" if names else "and none is given"
        raise ValueError(f"a plugin has one name, {found}; write {_command('NAME')}")
    options = take_options([word for word in others if "=" in word], (), ("out",))
    return names[0], options


def _command(*words: str) -> str:
    return command_line("new", "plugin", *words)


def _check_name(name: str, out: Path) -> None:
    """ValueError for what can't be the name of a package and of components."""
    if not VALID.fullmatch(name):
        raise ValueError(
            f"a plugin can't be called {name!r}: its name is a Python package's, at most 40 small "
            "letters, digits and _, with a letter first and no _ last; "
            f"write {_suggested(name, out)}"
        )
    if name in RESERVED:
        raise ValueError(
            f"a plugin can't be called {name!r}, which is {RESERVED[name]}; "
            f"write {_command(f'{name}_cells', *_options(name, out))}"
        )


def _check_new(name: str, out: Path) -> None:
    """ValueError for a folder that is there already, or can't be made."""
    write = f"write {_command(name, 'out=FOLDER')} with a folder that is new"
    if out.is_symlink() or out.exists():
        raise ValueError(f"{out} is there already: remove it, or {write}")
    above = next(one for one in out.absolute().parents if one.exists() or one.is_symlink())
    if not above.is_dir():
        raise ValueError(f"out={out} is below {above}, which is no folder: {write}")


def _suggested(name: str, out: Path) -> str:
    """A command with a name that may be taken in place of one that is not valid."""
    last = re.sub(r"[^a-z0-9]+", "_", Path(name).name.lower()).strip("_")
    valid = last if VALID.fullmatch(last) else "my_plugin"
    return _command(valid, *([f"out={out}"] if "/" in name else _options(name, out)))


def _options(name: str, out: Path) -> list[str]:
    return [] if out == Path(name) else [f"out={out}"]


def _check_free(name: str) -> None:
    """ValueError if a module, a distribution or a component has a name that would be taken."""
    again = f"take another name, or uninstall what has this one, and write {_command('NAME')}"
    spec = util.find_spec(name)
    if spec is not None:
        place = spec.origin or next(iter(spec.submodule_search_locations or ()), "unknown")
        raise ValueError(f"there is a module {name!r} already ({place}): {again}")
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        pass
    else:
        said = f"{distribution.name} {distribution.version}"
        raise ValueError(f"there is a package {said} already, which pip would replace: {again}")
    for group, text in REGISTERED.items():
        one = _named(text, name)
        if one in components()[group]:
            raise ValueError(f"there is a {group} {one!r} already: {again}")


def _write(name: str, folder: Path) -> None:
    """Write the template's files into a folder, with the plugin's name in place of NAME."""
    for source in sorted(TEMPLATE.rglob(f"*{SUFFIX}")):
        target = folder / _named(str(source.relative_to(TEMPLATE)), name).removesuffix(SUFFIX)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_named(source.read_text("utf-8"), name), "utf-8")


def _named(text: str, name: str) -> str:
    return text.replace(PLACEHOLDER, name)


def _next(name: str, out: Path) -> list[str]:
    """The commands that install the plugin, show it, train with it and test it."""
    cell, topology = (_named(REGISTERED[group], name) for group in ("cell", "topology"))
    # A folder without a slash could be read as the name of a package.
    folder = out if out.is_absolute() else f"./{out}"
    return [
        f"pip install -e {quote(f'{folder}[test]')}",
        command_line("list", "cell", cell),
        command_line("train", f"topology={topology}", f"cell={cell}", "debug=steps"),
        f"cd {quote(str(out))} && pytest",
    ]
