"""Texts whose words have classes, as `predict` shows them: on a terminal, in columns, as JSON."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from structnet.system.terminal import console, visible

COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "red", "bright_cyan", "bright_green",
           "bright_yellow", "bright_magenta", "bright_blue", "bright_red")  # fmt: skip


@dataclass(frozen=True)
class Labelled:
    """A text, the predictions for its words, and what these say of stretches of words, if given."""

    predictions: Sequence[Any]
    spans: Sequence[tuple[int, int, str]] | None

    @property
    def words(self) -> list[str]:
        return [one.name or f"node {one.node}" for one in self.predictions]

    @property
    def stretches(self) -> Sequence[tuple[int, int, str]]:
        """The spans; every word with its class where there are none."""
        if self.spans is not None:
            return self.spans
        return [(at, at + 1, one.label) for at, one in enumerate(self.predictions)]

    def as_dict(self) -> dict[str, Any]:
        origin, words = self.predictions[0].origin, self.words
        found = {
            "file": str(origin.path),
            "line": origin.line,
            "text": origin.text,
            "words": [
                {"word": word, "class": one.label, "probability": round(one.probability, 6)}
                for word, one in zip(words, self.predictions, strict=True)
            ],
        }
        if self.spans is not None:
            found["spans"] = [
                {"first": a, "stop": b, "class": name, "text": " ".join(words[a:b])}
                for a, b, name in self.spans
            ]
        return found

    @property
    def columns(self) -> str:
        """A line for every word: the word, a tab and its class; a blank line at the end."""
        pairs = zip(self.words, self.predictions, strict=True)
        return "".join(f"{_field(word)}\t{_field(one.label)}\n" for word, one in pairs) + "\n"


def labelled(found: Sequence[Any], task: Any) -> list[Labelled]:
    """The texts of a task whose words have predictions, which stand one after the other."""
    texts = (list(some) for _, some in groupby(found, key=lambda one: id(one.origin)))
    return [Labelled(words, task.spans([one.label for one in words])) for words in texts]


def print_labelled(texts: Sequence[Labelled]) -> None:
    """Print texts: on a terminal in a line each, with coloured words, else in columns."""
    out = console()
    if not out.is_terminal:
        for one in texts:
            print("\n".join(map(visible_columns, one.columns.split("\n")[:-1])))
        return
    names = sorted({name for one in texts for *_, name in one.stretches})
    styles = {name: COLOURS[at % len(COLOURS)] for at, name in enumerate(names)}
    for one in texts:
        out.print(_coloured(one, styles), soft_wrap=True)


def visible_columns(line: str) -> str:
    return "\t".join(map(visible, line.split("\t")))


def _coloured(one: Labelled, styles: dict[str, str]) -> Any:
    # Imported here, as help does not need it.
    from rich.text import Text

    words, pieces, at = list(map(visible, one.words)), [], 0
    for first, stop, name in [*one.stretches, (len(one.words), len(one.words), "")]:
        pieces += words[at:first]
        if stop > first:
            said = Text(" ".join(words[first:stop]), style=f"bold {styles[name]}")
            pieces.append(said.append(f"/{visible(name)}", style="not bold dim"))
        at = stop
    return Text(" ").join(Text(one) if isinstance(one, str) else one for one in pieces)


def _field(text: str) -> str:
    """A text in one column: line breaks and tabs are escaped."""
    return re.sub(r"[\t\r\n]", lambda found: visible(found[0]), text)
