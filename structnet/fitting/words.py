"""Options given in Python as the words that the command line takes, so that both are read alike."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from structnet.registry.option_types import PLAIN, spell

Choice = str | Mapping[str, Any] | None


def words_of(group: str, choice: Choice) -> list[str]:
    """The words that choose a component and set its options.

    ValueError for anything but a name or options, and for an option that is no plain value.

    Arguments:
        group: the component's, as in `cell`.
        choice: its name; or its options, with its `name` where it is not the default one; None for
            the default.
    """
    if choice is None:
        return []
    if isinstance(choice, str):
        return [f"{group}={choice}"]
    if not isinstance(choice, Mapping):
        raise ValueError(
            f"{group} is a name or a mapping of options, as in {group}="
            f"{{'name': ...}}, got {type(choice).__name__}"
        )
    named = [f"{group}={choice['name']}"] if "name" in choice and group != "trainer" else []
    others = {key: value for key, value in choice.items() if key != "name"}
    return named + [f"{group}.{key}={_spelled(group, key, one)}" for key, one in others.items()]


def _spelled(group: str, option: str, value: Any) -> str:
    every = value if isinstance(value, list | tuple) else [value]
    found = [_plain(group, option, one) for one in every]
    plain = found if isinstance(value, list | tuple) else found[0]
    # A file may be named null.
    return "./null" if plain == "null" else spell(plain)


def _plain(group: str, option: str, value: Any) -> Any:
    plain = value.item() if isinstance(value, np.generic) else value
    plain = str(plain) if isinstance(plain, Path) else plain
    if not isinstance(plain, PLAIN):
        raise ValueError(
            f"option {option!r} of {group} must be a text, a number, a bool, None or a list of "
            f"these, got {type(value).__name__}"
        )
    return plain
