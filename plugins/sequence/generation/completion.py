"""The most probable next words of a text, as a phone's keyboard offers them."""

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from structnet.plugins.sequence.generation.beams import Fate, beam_search
from structnet.plugins.sequence.generation.stepping import log_probs
from structnet.plugins.sequence.generation.texts import (
    UNKNOWN,
    TextTask,
    Unseen,
    begin,
    decode,
    encode,
)

WORD = re.compile(r"[\w'\u2019-]*")
# The end of a text in which the last word has just begun, or is not begun yet.
BEGUN = re.compile(r"[\w'\u2019-]*\Z")
# Beams of a search for words that are made of several tokens, and the most tokens of a word.
BEAMS, LONGEST = 48, 24


@dataclass(frozen=True)
class Completion:
    """A word, what was typed of it included, and its probability given all that was typed."""

    word: str
    probability: float


def complete(
    task: TextTask, net: Any, text: str, n: int = 5, unseen: Unseen = "replace"
) -> list[Completion]:
    """The n most probable words that the text goes on with, best first.

    A word that the text ends in is completed; after a space or a sign, a new one is offered. Where
    tokens are words, all that begin as typed are compared. Otherwise words are found by beam search
    up to the end of a word. Where tokens are sub-words, the begun word may be split differently
    than its beginning, and probabilities are shares of what was found.

    Arguments:
        task: the net's.
        net: predicts the next token.
        text: what was typed.
        n: the number of words at most.
        unseen: what is done about tokens of the text that the net does not know.
    """
    begun = BEGUN.search(text)
    typed = begun.group() if begun else ""
    before = text[: len(text) - len(typed)]
    find = _of_words if task.coder.unit == "word" else _of_parts
    found = find(task, net, before, typed, unseen)
    best = sorted(found.items(), key=lambda one: (-one[1], one[0]))[:n]
    return [Completion(word, probability) for word, probability in best]


def _of_words(
    task: TextTask, net: Any, before: str, typed: str, unseen: Unseen
) -> dict[str, float]:
    """The probability of every word of the vocabulary that begins as typed."""
    _, output = begin(task, net, encode(task, before, unseen))
    (shares,) = log_probs(output, [UNKNOWN]).exp().tolist()
    fitting = {
        word: share
        for word, share in zip(task.classes, shares, strict=True)
        if word.startswith(typed) and share > 0
    }
    total = math.fsum(fitting.values())
    return {word: s / total for word, s in fitting.items() if word and WORD.fullmatch(word)}


def _of_parts(
    task: TextTask, net: Any, before: str, typed: str, unseen: Unseen
) -> dict[str, float]:
    """The probability of words of several tokens, each the sum over what it is followed by."""
    is_split = task.coder.unit == "subword"
    # A space belongs to the sub-word after it.
    lead = " " if is_split and before.endswith(" ") else ""
    known = before.removesuffix(lead) if is_split else before + typed
    steps, output = begin(task, net, encode(task, known, unseen))

    def written(tokens: Sequence[int]) -> str:
        new = decode(task, tokens).rstrip("\N{REPLACEMENT CHARACTER}")
        return new if is_split else typed + new

    def judge(tokens: Sequence[int]) -> Fate:
        new = written(tokens)
        wanted = lead + typed
        if len(new) <= len(wanted) or not new.startswith(wanted):
            return "on" if wanted.startswith(new) else "drop"
        word = _first_word(new[len(lead) :])
        if not word:
            return "drop"
        return "on" if len(lead) + len(word) == len(new) else "end"

    (found,) = beam_search(
        steps, output, beams=BEAMS, length=LONGEST, penalty=0, judge=judge, banned=[UNKNOWN]
    )
    words: dict[str, float] = defaultdict(float)
    for one in found:
        new = written(one.tokens)
        if judge(one.tokens) == "end":
            words[_first_word(new[len(lead) :])] += math.exp(one.log_prob)
    total = math.fsum(words.values()) if is_split else 1.0
    return {word: share / total for word, share in words.items()}


def _first_word(text: str) -> str:
    found = WORD.match(text)
    return found.group() if found else ""
