"""The words that compose a configuration, as a user types them."""

from collections.abc import Mapping
from typing import Any

from structnet.config.groups import GROUPS, REGISTRIES, defaults_of
from structnet.registry.option_types import spell


def words_of(config: Mapping[str, Any]) -> list[str]:
    """GROUP=NAME, and GROUP.OPTION=VALUE for every option with another value than its default.

    The directory is left out. KeyError for an unknown component.
    """
    words = [] if config["seed"] == 0 else [f"seed={config['seed']}"]
    for group in sorted(GROUPS, key=lambda group: group != "task"):
        if (choice := config.get(group)) is None:
            continue
        if group in REGISTRIES:
            words.append(f"{group}={choice['name']}")
        default = defaults_of(group, choice["name"])
        words += [
            f"{group}.{option}={spell(value)}"
            for option, value in choice.items()
            if option not in default or value != default[option]
        ]
    return words
