"""A command line that is being typed, as its words: what a shell would make of it so far."""

from typing import NamedTuple

# What a backslash stands before between double quotes.
ESCAPED = '"\\$`'


class Typed(NamedTuple):
    """The words of a line, of which the last one is not done.

    Arguments:
        words: without quotes and backslashes; the last one is empty after a space.
        quote: the quote that is open at the end, ' or ", or "".
        begun: how much of the last word stands before that quote.
    """

    words: list[str]
    quote: str
    begun: int


def split(line: str) -> Typed:
    """The words of a line, in the way of bash, zsh and fish."""
    words, quote, begun = [""], "", 0
    signs = iter(line)
    for sign in signs:
        if quote and sign == quote:
            quote = ""
        elif sign == "\\" and quote != "'":
            after = next(signs, "")
            words[-1] += f"\\{after}" if quote and after not in ESCAPED else after
        elif quote:
            words[-1] += sign
        elif sign in "'\"":
            quote, begun = sign, len(words[-1])
        elif sign.isspace():
            if words[-1]:
                words.append("")
        else:
            words[-1] += sign
    return Typed(words, quote, begun if quote else 0)


def within(text: str, quote: str) -> str:
    """A text as it is typed after an open quote."""
    if quote == "'":
        return text.replace("'", "'\\''")
    return "".join(f"\\{sign}" if sign in ESCAPED else sign for sign in text)
