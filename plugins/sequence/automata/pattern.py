"""Regular expressions as a syntax tree, read as Python's `re` reads them.

`re` itself checks a pattern first and says which characters each class, escape or flag stands for;
what is read here is the structure around them: groups, alternatives, repeats and anchors.
"""

import re
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NoReturn

PRINTABLE = "".join(map(chr, range(32, 127)))
LATIN = "".join(map(chr, range(0x250)))
# The most characters taken from a class that has no printable ones, and shown of a pattern.
MOST_ODD, LONGEST_SHOWN = 64, 80
ESCAPE = re.compile(
    r"\\(?:x..|u....|U.{8}|N\{[^}]*\}|0[0-7]{0,2}|[0-7]{3}|[1-9][0-9]?|.)", re.DOTALL
)
CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
COUNT = re.compile(r"\{(?!\})([0-9]*)(?:(,)([0-9]*))?\}")
FLAGGED = re.compile(r"\(\?([aiLmsux]*)(?:-([imsx]+))?([:)])")
# What begins a group that is not regular, or whose language is not what it seems, and the way out.
REFUSED = {
    "(?=": "a lookahead", "(?!": "a lookahead", "(?<=": "a lookbehind", "(?<!": "a lookbehind",
    "(?P=": "a backreference", "(?(": "a conditional group", "(?>": "an atomic group",
}  # fmt: skip


@dataclass(frozen=True)
class Characters:
    """One character of those that `re` matches with a text such as `a`, `[^b]`, `\\d` or `.`."""

    text: str
    flags: int

    def among(self, characters: str) -> str:
        """Those of the characters that it stands for."""
        with warnings.catch_warnings():
            # A `[[` is read as it is today.
            warnings.simplefilter("ignore", FutureWarning)
            return "".join(re.findall(self.text, characters, self.flags))


@dataclass(frozen=True)
class Anchor:
    """The start of the string, or its end."""

    is_start: bool


@dataclass(frozen=True)
class Series:
    """Parts, one after the other."""

    parts: Sequence["Node"]


@dataclass(frozen=True)
class Choice:
    """One of several parts."""

    parts: Sequence["Node"]


@dataclass(frozen=True)
class Repeat:
    """A part, from `least` to `most` times; any number of times from `least` on if it is None."""

    part: "Node"
    least: int
    most: int | None


Node = Characters | Anchor | Series | Choice | Repeat


def parse(pattern: str) -> Node:
    """The syntax tree of a pattern.

    ValueError with the position of what `re` rejects, and of what needs more than a finite
    automaton or depends on how `re` searches: backreferences, lookaround, word boundaries,
    conditional and atomic groups, possessive repeats, anchors of lines.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            flags = re.compile(pattern).flags
        return _Reader(pattern).choice(flags)
    except re.error as error:
        at = "" if error.pos is None else f", position {error.pos}"
        raise ValueError(
            f"{shown(pattern)}{at}: {error.msg}; see Python's module re for what it takes"
        ) from None
    except (OverflowError, RecursionError) as error:
        what = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ValueError(f"{shown(pattern)}: {what}; write a simpler one") from None


def shown(pattern: str) -> str:
    """What a pattern is called in errors."""
    cut = pattern if len(pattern) <= LONGEST_SHOWN else f"{pattern[:LONGEST_SHOWN]}..."
    return f"pattern {cut!r}"


def characters_of(node: Node) -> list[Characters]:
    """All that a tree has of one character, without repetition."""
    found: dict[Characters, None] = {}

    def visit(node: Node) -> None:
        if isinstance(node, Characters):
            found[node] = None
        elif isinstance(node, Repeat):
            visit(node.part)
        elif isinstance(node, Series | Choice):
            for part in node.parts:
                visit(part)

    visit(node)
    return list(found)


def alphabet_of(node: Node) -> str:
    """The characters that a tree names, sorted; all printable ASCII with more than half of these.

    So `[^a]`, `.` and `\\w` are over printable ASCII, `[a-c]` and `\\d` over what they match.
    """
    found: set[str] = set()
    for one in characters_of(node):
        if named := one.among(PRINTABLE):
            found.update(PRINTABLE if len(named) > len(PRINTABLE) / 2 else named)
        else:
            found.update((one.among(LATIN) or one.among(_every_character()))[:MOST_ODD])
    return "".join(sorted(found))


@cache
def _every_character() -> str:
    surrogates = range(0xD800, 0xE000)
    return "".join(chr(code) for code in range(sys.maxunicode + 1) if code not in surrogates)


class _Reader:
    """Reads a pattern from left to right; `re` has accepted it."""

    def __init__(self, pattern: str):
        self.pattern, self.at = pattern, 0

    def choice(self, flags: int) -> Node:
        """Alternatives, up to a closing parenthesis or the end."""
        parts = [self._series(flags)]
        while self._take("|"):
            parts.append(self._series(flags))
        return parts[0] if len(parts) == 1 else Choice(parts)

    def _series(self, flags: int) -> Node:
        parts: list[Node] = []
        self._skip(flags)
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            part = self._item(flags)
            self._skip(flags)
            if part is not None:
                parts.append(self._repeated(part))
            self._skip(flags)
        return Series(parts)

    def _item(self, flags: int) -> Node | None:
        """One item; None for a group that holds flags alone, which `re` has told already."""
        pattern, start = self.pattern, self.at
        first = pattern[start]
        if first == "(":
            return self._group(flags)
        if first in "^$":
            self.at += 1
            if flags & re.MULTILINE:
                self._refuse(start, "an anchor of lines, by flag m", "leave the flag out")
            return Anchor(first == "^")
        if first == "\\":
            return self._escape(flags)
        found = CLASS.match(pattern, start) if first == "[" else None
        self.at = start + 1 if found is None else found.end()
        return Characters(pattern[start : self.at], flags & ~re.VERBOSE)

    def _escape(self, flags: int) -> Node:
        start = self.at
        found = ESCAPE.match(self.pattern, start)
        assert found is not None
        text, self.at = found[0], found.end()
        if text[1] in "bB":
            self._refuse(start, "a word boundary", "write out the characters on both sides")
        if text[1] in "123456789" and not re.fullmatch(r"\\[0-7]{3}", text):
            self._refuse(start, "a backreference", "write out what it repeats")
        if text[1] in "AZz":
            return Anchor(text[1] == "A")
        return Characters(text, flags & ~re.VERBOSE)

    def _group(self, flags: int) -> Node | None:
        pattern, start = self.pattern, self.at
        for opening, what in REFUSED.items():
            if pattern.startswith(opening, start):
                self._refuse(start, what, "write out the strings that are meant")
        if found := FLAGGED.match(pattern, start):
            self.at = found.end()
            if found[3] == ")":
                return None
            flags = _changed(flags, found[1], found[2] or "")
        elif pattern.startswith("(?P<", start):
            self.at = pattern.index(">", start) + 1
        else:
            self.at += 1
        inner = self.choice(flags)
        self._take(")")
        return inner

    def _repeated(self, part: Node) -> Node:
        """A part with the repeat that follows it, if there is one."""
        start = self.at
        if found := COUNT.match(self.pattern, start):
            self.at = found.end()
            least = int(found[1] or 0)
            most = int(found[3]) if found[3] else None if found[2] else least
        elif start < len(self.pattern) and self.pattern[start] in "*+?":
            self.at += 1
            least = int(self.pattern[start] == "+")
            most = 1 if self.pattern[start] == "?" else None
        else:
            return part
        if self._take("+"):
            self._refuse(start, "a possessive repeat", "leave out the second sign")
        # As few as possible or as many: the whole string is matched in either way.
        self._take("?")
        return Repeat(part, least, most)

    def _skip(self, flags: int) -> None:
        """Pass over comments, and over white space in a verbose pattern."""
        comment = r"(?:\(\?#[^)]*\)"
        also = r"|\s|#[^\n]*" if flags & re.VERBOSE else ""
        found = re.compile(f"{comment}{also})*").match(self.pattern, self.at)
        assert found is not None
        self.at = found.end()

    def _take(self, sign: str) -> bool:
        taken = self.pattern.startswith(sign, self.at)
        self.at += taken
        return taken

    def _refuse(self, at: int, what: str, way_out: str) -> NoReturn:
        raise ValueError(
            f"{shown(self.pattern)}, position {at}: {what} is not taken, as a finite automaton "
            f"reads a string once, from left to right; {way_out}"
        )


def _changed(flags: int, added: str, removed: str) -> int:
    """Flags with those of a group `(?added-removed:...)`."""
    for letter in added:
        if letter in "auL":
            flags &= ~(re.ASCII | re.UNICODE | re.LOCALE)
        flags |= re.RegexFlag[letter.upper()]
    for letter in removed:
        flags &= ~re.RegexFlag[letter.upper()]
    return flags
