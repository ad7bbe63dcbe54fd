"""Suggestions for names that are not known."""

import difflib
from collections.abc import Iterable
from typing import Any


def did_you_mean(name: Any, choices: Iterable[str]) -> str:
    """For a message: `among [...]`, and the closest choice if one is close."""
    choices = sorted(choices)
    close = close_to(name, choices)
    return f"among {choices}" + (f"; did you mean {close!r}?" if close else "")


def close_to(name: Any, choices: Iterable[str]) -> str | None:
    """The closest choice if one is close, ignoring case."""
    folded = {choice.casefold(): choice for choice in choices}
    close = difflib.get_close_matches(str(name).casefold(), folded, n=1)
    return folded[close[0]] if close else None
