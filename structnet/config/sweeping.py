"""The values of words in a sweep, as Hydra writes them: a,b or choice(a,b) or range(1,4).

Of options that are text the values are read literally.
"""

import itertools
import re
from collections.abc import Iterator, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from structnet.config.typed import Word, parse, takes_text

# The values of a word in a sweep, which are separated by commas; one with a comma is quoted.
PART = re.compile(r"""(?:^|,)("[^"]*"(?=,|$)|'[^']*'(?=,|$)|[^,]*)""")


def sweep(words: Sequence[str]) -> Iterator[list[str]]:
    """All combinations of the values in the words of a sweep."""
    choices = [[f"{word.key}={one}" for one in _values(word)] for word in parse(words)]
    return (list(words) for words in itertools.product(*choices))


def _override(word: Word) -> Override | None:
    """What Hydra's grammar makes of a word; None for what it does not know."""
    try:
        (found,) = OverridesParser.create().parse_overrides([word.line])
        return found
    except HydraException:
        return None


def _values(word: Word) -> list[str]:
    """The values of a word in a sweep; one if it has no comma."""
    found = None if takes_text(word.key) else _override(word)
    if found is not None:
        try:
            return list(found.sweep_string_iterator()) if found.is_sweep_override() else [word.text]
        except HydraException:
            pass
    if "," not in word.text:
        return [word.text]
    parts = PART.findall(word.text)
    return [one[1:-1] if one[:1] in ("'", '"') and one[-1:] == one[:1] else one for one in parts]
