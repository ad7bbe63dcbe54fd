"""Plain data from untrusted files: limited in size, rejected with a one-line error.

Aliases in YAML are rejected: aliases of aliases may stand for more data than fits in memory.
References such as ${net.hidden_size} are allowed. References that OmegaConf resolves with a
function are not: the value of ${oc.env:PASSWORD} would be saved in the run's configuration.
"""

import json
import math
import re
from pathlib import Path
from reprlib import Repr
from typing import Any

import yaml
from yaml.composer import Composer, ComposerError
from yaml.constructor import SafeConstructor
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import Resolver
from yaml.scanner import Scanner

from structnet.system.memory import as_bytes
from structnet.system.reading import check_file, read_text

# The largest configuration in bytes: one of this size is parsed in a second.
LARGEST = 1 << 16
REFERENCE = re.compile(r"\$\{[\w.\[\]]+\}")
_SHORT = Repr()
_SHORT.maxstring, _SHORT.maxother, _SHORT.maxlevel = 80, 80, 3


def shown(value: Any) -> str:
    """The repr of a value, shortened."""
    return _SHORT.repr(value)


class _PythonParser(Reader, Scanner, Parser):
    def __init__(self, text: str):
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)


# The parser in C, without which PyYAML may be built: a configuration takes 1.5 ms instead of 12.
_Parser: Any = yaml.cyaml.CParser if yaml.__with_libyaml__ else _PythonParser  # pyright: ignore


class _PlainLoader(Composer, _Parser, SafeConstructor, Resolver):
    """PyYAML's SafeLoader, with aliases rejected.

    Nodes are composed in Python, where data that is nested too deep is a RecursionError.
    """

    def __init__(self, text: str):
        _Parser.__init__(self, text)
        for base in (Composer, SafeConstructor, Resolver):
            base.__init__(self)

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise ComposerError(
                None, None, f"*{event.anchor} is an alias; write out what it stands for",
                event.start_mark,
            )  # fmt: skip
        return super().compose_node(parent, index)


def read_yaml(path: Path) -> Any:
    """The plain data in a YAML file; ValueError names the file and the place of a mistake."""
    if (size := check_file(path)) > LARGEST:
        raise ValueError(
            f"{path} has {as_bytes(size)}, a configuration has at most {as_bytes(LARGEST)}"
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
        # Also for control characters; yaml's message has the line and the column.
        raise ValueError(f"{path} is not plain YAML: {text.removeprefix(f'{path} ')}") from error


def read_json(path: Path) -> Any:
    """The plain data in a JSON file; ValueError names the file."""
    text = read_text(path)
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError(f"{path} is nested too deep") from None
    # Python raises a plain ValueError for integers of too many digits.
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error


def refuse_functions(value: Any, where: str) -> None:
    """ValueError for a reference to anything but another option, at any depth of the data."""
    if isinstance(value, dict):
        for key, below in value.items():
            refuse_functions(key, where)
            refuse_functions(below, f"{where}, {shown(key)}")
    elif isinstance(value, list):
        for below in value:
            refuse_functions(below, where)
    elif isinstance(value, str) and "${" in REFERENCE.sub("", value):
        raise ValueError(
            f"{where}: {shown(value)} is computed; a configuration may refer to other options "
            "only, as in ${net.hidden_size}"
        )


def refuse_other_numbers(value: Any, where: str) -> None:
    """ValueError unless the value is a mapping from names to numbers."""
    if not isinstance(value, dict):
        raise ValueError(f"{where} must map names to numbers, got {shown(value)}")
    for name, number in value.items():
        if type(number) not in (int, float) or (type(number) is int and number.bit_length() > 63):
            raise ValueError(f"{where}, {shown(name)} must be a number, got {shown(number)}")


def is_finite(value: Any) -> bool:
    """Whether a value is a finite number that fits in a float."""
    return type(value) in (int, float) and abs(value) < 2**63 and math.isfinite(value)
