"""The values of words in a sweep: several of them, or the interval of a search.

Both are Hydra's: a,b or choice(a,b) or range(1,4), and interval(LOW,HIGH), which may be tagged, as
in tag(log,interval(1,9)). Of options that are text the values are read literally.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.errors import HydraException

from structnet.config.typed import Word, kinds_of, parse, takes_text
from structnet.registry.option_types import fits, split

TAGS = ("log", "linear")
# An interval of positive numbers is searched by the logarithm if its end is at least this many
# times its start.
WIDE = 10
INTERVAL = re.compile(r"(?:[\w.+-]+[(,])*interval\(")


@dataclass(frozen=True)
class Interval:
    """Numbers to search.

    Arguments:
        low, high: the smallest and the largest.
        whole: whether they are whole numbers.
        log: whether numbers are alike whose ratio is, rather than whose difference is.
    """

    low: float
    high: float
    whole: bool
    log: bool

    @property
    def ends(self) -> list[str]:
        """The smallest and the largest number, as typed."""
        return [self.text(self.low), self.text(self.high)]

    def text(self, value: float) -> str:
        """A number within, as typed: of four digits where it is not whole."""
        if self.whole:
            return str(int(value))
        return repr(min(max(float(f"{value:.4g}"), self.low), self.high))

    def __str__(self) -> str:
        return f"{' to '.join(self.ends)}{', by its logarithm' if self.log else ''}"


def sweep(words: Sequence[str]) -> Iterator[list[str]]:
    """All combinations of the values in the words of a sweep."""
    choices = [[f"{word.key}={one}" for one in _values(word)] for word in parse(words)]
    return (list(words) for words in itertools.product(*choices))


def space(words: Sequence[str]) -> dict[str, Interval | list[str]]:
    """Key -> what a search chooses from, for every word, which may be a single value.

    ValueError for an interval of what is no number, and for a key that is given twice.
    """
    found: dict[str, Interval | list[str]] = {}
    for word in parse(words):
        if word.key in found:
            raise ValueError(f"{word.key} is given twice; leave one")
        # In an order that does not depend on how they are shuffled.
        found[word.key] = _interval(word) or sorted(set(_values(word)))
    return found


def has_interval(words: Sequence[str]) -> bool:
    """Whether one of the words has an interval."""
    return any(INTERVAL.match(word.text) for word in parse(words))


def _interval(word: Word) -> Interval | None:
    """The interval of a word; None if it has none, and ValueError if it is not one of numbers."""
    if not INTERVAL.match(word.text):
        return None
    override = _override(word)
    found = None if override is None else override.value()
    if not isinstance(found, IntervalSweep) or found.start is None or found.end is None:
        raise ValueError(f"{word.line!r}: write {word.key}=interval(LOW,HIGH), with two numbers")
    low, high = found.start, found.end
    kinds = kinds_of(word.key)
    if not any(fits(1, kind) for kind in kinds):
        raise ValueError(
            f"{word.line!r}: an interval is of numbers, which {word.key} does not take"
        )
    if not low < high:
        raise ValueError(f"{word.line!r}: the interval must begin below its end")
    if odd := found.tags - {*TAGS}:
        raise ValueError(f"{word.line!r}: no tag {sorted(odd)[0]!r} among {[*TAGS]}")
    # Hydra's int(interval(1,9)) has whole ends.
    whole = not any(fits(0.5, kind) for kind in kinds) or (type(low) is int and type(high) is int)
    if whole and not (float(low).is_integer() and float(high).is_integer()):
        raise ValueError(f"{word.line!r}: {word.key} takes whole numbers")
    log = "log" in found.tags or ("linear" not in found.tags and 0 < WIDE * low <= high)
    if log and low <= 0:
        raise ValueError(f"{word.line!r}: only positive numbers have a logarithm")
    return Interval(low, high, whole, log)


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
    return split(word.text) if "," in word.text else [word.text]
