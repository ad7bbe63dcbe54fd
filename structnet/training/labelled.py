"""Texts whose words have classes, as `predict` says them: in columns and as JSON."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from structnet.system.terminal import visible


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


def is_word(one: Any) -> bool:
    """Whether a prediction is the class of a text's word, of a task that reads texts."""
    return one.node is not None and one.label is not None


def as_json(found: Sequence[Any], task: Any) -> list[dict[str, Any]]:
    """Predictions as plain data: texts whose words have classes as one object each."""
    if found and task.reads_texts and is_word(found[0]):
        return [one.as_dict() for one in labelled(found, task)]
    return [one.as_dict() for one in found]


def _field(text: str) -> str:
    """A text in one column: line breaks and tabs are escaped."""
    return re.sub(r"[\t\r\n]", lambda found: visible(found[0]), text)
