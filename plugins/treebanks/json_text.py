"""JSON read without recursion, every value with its place; `json` of Python recurses."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from json import JSONDecodeError
from json.decoder import scanstring  # pyright: ignore[reportAttributeAccessIssue]
from pathlib import Path
from typing import Any

from structnet.plugins.files.lines import shown

SPACE = re.compile(r"[ \t\r\n]*")
SCALAR = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?|true|false|null", re.ASCII)
NAMED = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class Text:
    """The text of a file, and where its lines begin."""

    path: Path
    text: str
    starts: list[int]

    def mistake(self, at: int, what: str) -> ValueError:
        line = self.line(at)
        column = at - self.starts[line - 1] + 1
        return ValueError(f"{self.path}, line {line}, column {column}: {what}")

    def line(self, at: int) -> int:
        return bisect_right(self.starts, at)


@dataclass(frozen=True, slots=True)
class Value:
    """A value, and its place: text, number, bool or None, a list or a dict of further values."""

    source: Text
    at: int
    content: Any

    @property
    def line(self) -> int:
        return self.source.line(self.at)

    def mistake(self, what: str) -> ValueError:
        return self.source.mistake(self.at, what)

    def fields(self, known: tuple[str, ...], what: str) -> dict[str, "Value"]:
        """Of an object, which may have the known keys alone."""
        if not isinstance(self.content, dict):
            raise self.mistake(f"{self._shown()}, expected {what}")
        for key, value in self.content.items():
            if key not in known:
                raise value.mistake(
                    f"unknown key {shown(key)}, expected {', '.join(known)}; task=own_trees reads "
                    "columns of any name"
                )
        return self.content

    def items(self) -> list["Value"]:
        if not isinstance(self.content, list):
            raise self.mistake(f"{self._shown()}, expected a list")
        return self.content

    def text(self) -> str:
        """A text, "" for null."""
        if self.content is not None and not isinstance(self.content, str):
            raise self.mistake(f"{self._shown()}, expected a text")
        return self.content or ""

    def number(self, least: int, most: int) -> int:
        if type(self.content) is not int or not least <= self.content <= most:
            raise self.mistake(f"{self._shown()}, expected a whole number from {least} to {most}")
        return self.content

    def _shown(self) -> str:
        if isinstance(self.content, dict | list):
            return "an object" if isinstance(self.content, dict) else "a list"
        return shown(self.content)


def values(path: Path, text: str) -> Iterator[Value]:
    """The values of a text, with space between them; ValueError names file, line and column."""
    starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    source, at = Text(path, text, starts[:-1]), _skip(text, 0)
    while at < len(text):
        value, at = _read(source, at)
        yield value
        at = _skip(text, at)


def unwrapped(value: Value) -> Any:
    """What a value holds, without places, as `json.loads` gives it; its lists are changed."""
    open_ = [value.content] if isinstance(value.content, dict | list) else []
    while open_:
        content = open_.pop()
        pairs = content.items() if isinstance(content, dict) else enumerate(content)
        for key, one in pairs:
            content[key] = one.content
            if isinstance(one.content, dict | list):
                open_.append(one.content)
    return value.content


def _skip(text: str, at: int) -> int:
    match = SPACE.match(text, at)
    return at if match is None else match.end()


def _read(source: Text, at: int) -> tuple[Value, int]:
    """The value that begins at an offset, and where it ends."""
    text = source.text
    # The lists and objects that are open, each with the key that its next value has.
    open_: list[tuple[Value, str | None]] = []
    while True:
        if text[at : at + 1] in ("[", "{"):
            value = Value(source, at, [] if text[at] == "[" else {})
            inside = _skip(text, at + 1)
            if text[inside : inside + 1] not in ("]", "}"):
                open_.append((value, None))
                at = _key(source, open_, inside)
                continue
            at = inside
            at = _close(source, value, at)
        else:
            value, at = _scalar(source, at)
        while open_:
            whole, key = open_[-1]
            if key is None:
                whole.content.append(value)
            else:
                whole.content[key] = value
            at = _skip(text, at)
            if text[at : at + 1] == ",":
                at = _key(source, open_, _skip(text, at + 1))
                break
            at = _close(source, whole, at)
            value, _ = open_.pop()
        else:
            return value, at


def _key(source: Text, open_: list[tuple[Value, str | None]], at: int) -> int:
    """Read the key of an object's next value, none in a list; where the value begins."""
    whole, _ = open_[-1]
    if isinstance(whole.content, list):
        return at
    if source.text[at : at + 1] != '"':
        raise source.mistake(at, "expected a key in double quotes")
    key, colon = _string(source, at)
    if key in whole.content:
        raise source.mistake(at, f"key {shown(key)} is there twice")
    colon = _skip(source.text, colon)
    if source.text[colon : colon + 1] != ":":
        raise source.mistake(colon, f"expected ':' after key {shown(key)}")
    open_[-1] = whole, key
    return _skip(source.text, colon + 1)


def _close(source: Text, whole: Value, at: int) -> int:
    """Read the bracket that closes a list or an object."""
    closing = "]" if isinstance(whole.content, list) else "}"
    if source.text[at : at + 1] != closing:
        begun = f"{'[' if closing == ']' else '{'} of line {whole.line}"
        what = "the file ends" if at >= len(source.text) else f"{source.text[at]!r}"
        raise source.mistake(at, f"{what}, expected ',' or the '{closing}' for the {begun}")
    return at + 1


def _scalar(source: Text, at: int) -> tuple[Value, int]:
    if source.text[at : at + 1] == '"':
        text, end = _string(source, at)
        return Value(source, at, text), end
    match = SCALAR.match(source.text, at)
    if match is None:
        found = source.text[at : at + 1]
        what = f"{found!r}" if found else "the file ends"
        raise source.mistake(at, f"{what}, expected a value in JSON")
    word = match.group()
    if word in NAMED:
        return Value(source, at, NAMED[word]), match.end()
    # A tree has whole numbers alone; a longer one is not converted, which takes long.
    is_whole = not (match.group(1) or match.group(2)) and len(word) < 20
    return Value(source, at, int(word) if is_whole else float(word)), match.end()


def _string(source: Text, at: int) -> tuple[str, int]:
    try:
        text, end = scanstring(source.text, at + 1, True)
    except JSONDecodeError as error:
        what = error.msg[0].lower() + error.msg[1:].removesuffix(" at")
        raise source.mistake(error.pos, what) from error
    if any("\ud800" <= one <= "\udfff" for one in text):
        raise source.mistake(at, f"{shown(text)} has half of a surrogate pair, which is no text")
    return text, end
