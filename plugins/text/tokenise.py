"""Tokenisers: from a text to its tokens, none of which needs a download."""

import re
from collections.abc import Callable
from typing import Literal

Kind = Literal["words", "spaces", "characters", "pattern", "treebank", "wordpunct", "tweet"]
Tokeniser = Callable[[str], list[str]]

# Numbers; letters and digits, with apostrophes and hyphens between them; any other sign by itself.
WORDS = r"\d+(?:[.,]\d+)+|\w+(?:['\u2019\-]\w+)*|[^\w\s]"


def tokeniser(kind: Kind, pattern: str | None = None) -> Tokeniser:
    """A tokeniser by its name.

    ValueError for a pattern that `re` refuses. Matches of the empty text are not tokens.

    Arguments:
        kind: words: numbers, letters and digits with apostrophes and hyphens between them, and
            every other sign by itself; spaces: the parts between spaces; characters: every
            character; pattern: the matches of `pattern`; and NLTK's treebank (contractions are two
            tokens, for English), wordpunct (letters apart from signs) and tweet (keeps emoticons,
            handles and hashtags).
        pattern: a regular expression of Python's `re`.
    """
    if (kind == "pattern") != (pattern is not None):
        raise ValueError(
            f"tokens={kind} and pattern={pattern!r}: a pattern is given with tokens=pattern, and "
            "with no other"
        )
    if kind == "spaces":
        return str.split
    if kind == "characters":
        return list
    if kind in ("words", "pattern"):
        return _matches(WORDS if pattern is None else pattern)
    return _of_nltk(kind)


def _matches(pattern: str) -> Tokeniser:
    try:
        found = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"pattern {pattern!r} is not a regular expression: {error}") from error

    def matches(text: str) -> list[str]:
        # Whole matches, whatever groups the pattern has.
        return [match.group() for match in found.finditer(text) if match.group()]

    return matches


def _of_nltk(kind: str) -> Tokeniser:
    # Imported here, as plugins are imported with torch and numpy alone.
    from nltk.tokenize import TreebankWordTokenizer, TweetTokenizer, WordPunctTokenizer

    made = {
        "treebank": TreebankWordTokenizer,
        "wordpunct": WordPunctTokenizer,
        "tweet": TweetTokenizer,
    }
    return made[kind]().tokenize
