"""Files of settings: those in conf/, and those in folders of the user's."""

import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from structnet.system.reading import read_text

SENTENCE_END = re.compile(r"(?<=[.?!])(?<!al\.) (?=[A-Z])")


def conf() -> str:
    """The folder conf/; FileNotFoundError where it is missing."""
    spec = find_spec("structnet.conf")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("structnet.conf is missing; install structnet again")
    return str(Path(spec.submodule_search_locations[0]).absolute())


def presets(group: str, folders: Sequence[str] = ()) -> dict[str, str]:
    """Configuration files of a group, in conf/ and in the user's folders: name -> description."""
    found = {}
    for folder in (conf(), *folders):
        for file in sorted(filter(Path.is_file, Path(folder, group).glob("*.yaml"))):
            lines = read_text(file).splitlines()
            about = [line.lstrip("# ") for line in lines if re.match(r"# [^@]", line)]
            about = [line for line in about if not line.startswith("structnet ")]
            found[file.stem] = SENTENCE_END.split(" ".join(about), 1)[0]
    return found
