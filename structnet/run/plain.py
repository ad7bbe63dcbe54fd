"""Plain data from untrusted files: bounded in size, refused with a one-line error.

Aliases of YAML stand for what they name, and aliases of aliases for more than any memory holds.
References such as ${net.hidden_size} are plain data too, but what OmegaConf resolves by a function
is not: ${oc.env:PASSWORD} would end up in the configuration that a run saves.
"""

import json
import math
import re
from pathlib import Path
from reprlib import Repr
from typing import Any

import yaml

from structnet.system.memory import as_bytes
from structnet.system.reading import check_file, read_text

# The largest configuration in bytes: it is parsed in a second.
LARGEST = 1 << 16
REFERENCE = re.compile(r"\$\{[\w.\[\]]+\}")
_SHORT = Repr()
_SHORT.maxstring, _SHORT.maxother, _SHORT.maxlevel = 80, 80, 3


def shown(value: Any) -> str:
    """Its repr, cut short."""
    return _SHORT.repr(value)


class _PlainLoader(yaml.SafeLoader):
    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(
                None, None, f"*{event.anchor} is an alias; write out what it stands for",
                event.start_mark,
            )  # fmt: skip
        return super().compose_node(parent, index)


def read_yaml(path: Path) -> Any:
    """The plain data in a YAML file without aliases; ValueError names the file and the place."""
    if (size := check_file(path)) > LARGEST:
        raise ValueError(
            f"{path} is of {as_bytes(size)}, a configuration has {as_bytes(LARGEST)} at most"
        )
    try:
        loader = _PlainLoader(read_text(path))
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except RecursionError:
        raise ValueError(f"{path} is nested too deep") from None
    except (yaml.YAMLError, ValueError, TypeError, AttributeError) as error:
        text = " ".join(str(error).replace("<unicode string>", str(path)).split())
        # Control characters and the like; yaml's own words name the place.
        raise ValueError(f"{path} is not plain YAML: {text.removeprefix(f'{path} ')}") from error


def read_json(path: Path) -> Any:
    """The plain data in a JSON file; ValueError names the file."""
    text = read_text(path)
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError(f"{path} is nested too deep") from None
    # Python refuses integers of too many digits with a plain ValueError.
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error


def refuse_functions(value: Any, where: str) -> None:
    """ValueError for a string that refers to anything but another option, wherever it stands."""
    if isinstance(value, dict):
        for key, below in value.items():
            refuse_functions(key, where)
            refuse_functions(below, f"{where}, {shown(key)}")
    elif isinstance(value, list):
        for below in value:
            refuse_functions(below, where)
    elif isinstance(value, str) and "${" in REFERENCE.sub("", value):
        raise ValueError(
            f"{where}: {shown(value)} is computed; a configuration refers to other options alone, "
            "as in ${net.hidden_size}"
        )


def refuse_other_numbers(value: Any, where: str) -> None:
    """ValueError unless it is a mapping of names to numbers."""
    if not isinstance(value, dict):
        raise ValueError(f"{where} is names with their numbers, got {shown(value)}")
    for name, number in value.items():
        if type(number) not in (int, float) or (type(number) is int and number.bit_length() > 63):
            raise ValueError(f"{where}, {shown(name)} is a number, got {shown(number)}")


def is_finite(value: Any) -> bool:
    """Whether it is a number that a float can hold."""
    return type(value) in (int, float) and abs(value) < 2**63 and math.isfinite(value)
