"""The meanings of options, read from the docstrings of components."""

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

# The second is that of Google's style guide.
HEADS = ("Arguments:", "Args:")
ENTRY = re.compile(r"    (\w+)(?: \([^)]*\))?: (\S.*)")


def first_line(component: Any) -> str:
    """The first line of the docstring."""
    return (inspect.getdoc(component) or "").split("\n")[0]


def meanings(component: Any) -> Mapping[str, str]:
    """Option -> meaning, from the lines `name: meaning` below `Arguments:` or `Args:`.

    Options that a class does not document are looked up in its base classes, and in the other
    components whose options it takes (`options_of`).
    """
    found: dict[str, str] = {}
    for one in inspect.getmro(component) if inspect.isclass(component) else (component,):
        for name, meaning in _entries(inspect.cleandoc(one.__doc__ or "")):
            found.setdefault(name, meaning)
        taken = vars(one).get("options_of", {}) if inspect.isclass(one) else {}
        for other, names in taken.items():
            said = meanings(other)
            for name in said.keys() & set(names):
                found.setdefault(name, said[name])
    return found


def _entries(doc: str) -> Iterator[tuple[str, str]]:
    lines = iter(doc.split("\n"))
    if not any(line in HEADS for line in lines):
        return
    name, said = "", []
    for line in lines:
        if not line.startswith("    "):
            break
        if entry := ENTRY.fullmatch(line):
            if name:
                yield name, " ".join(said)
            name, said = entry[1], [entry[2]]
        elif name:
            said.append(line.strip())
    if name:
        yield name, " ".join(said)
