"""score: log-probability, perplexity and rank of sentences: which of them was said."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structnet as sn

HELP = """\
structnet score run=DIR text=TEXT text=TEXT | file=FILE: how probable a trained net finds sentences

  run=DIR         the directory of the run of a language model
  text=TEXT       a sentence; may be repeated
  file=FILE       a text file with one sentence per line
  by=WHAT         rank by log_prob (the default), that of the whole sentence; or by per_token, the
                  mean, which does not prefer short sentences
  unseen=WHAT     error, skip or replace: characters or words that the net doesn't know
  --json          machine-readable output, with the log-probability of every token
  --plugin FILE   a Python file that registers your own components; may be repeated
  --traceback     show where an error came from

Log-probabilities are in nats. A sentence is scored as a line of its own: given the end of the line
before, and with that of its own, if the net knows line breaks.
"""
FLAGS = ("--json",)


def run(words: list[str]) -> int:
    as_json = sn.take_flag(words, "--json")
    given = sn.take_repeated(words, "text")
    options = sn.take_options(words, ("run",), ("file", "unseen", "by"), also=("text",))
    unseen = _choice(options, "unseen", ("error", "skip", "replace"))
    by = _choice(options, "by", ("log_prob", "per_token"))
    if bool(given) == ("file" in options):
        raise ValueError("give sentences to score: text=TEXT, which may be repeated, or file=FILE")
    texts = _lines(Path(options["file"])) if "file" in options else _named(given)

    from structnet.plugins.sequence.generation.scoring import ranks, score
    from structnet.plugins.sequence.generation.texts import language_model

    task, net = language_model(options["run"])
    scores = score(task, net, texts, unseen)
    places = ranks(scores, per_token=by == "per_token")
    if as_json:
        print(json.dumps([_as_dict(*one) for one in zip(scores, places, strict=True)], indent=1))
    else:
        _print(scores, places, by, task.coder.unit)
    return 0


def _choice(options: dict[str, str], name: str, choices: Sequence[str]) -> Any:
    """The value of an option, the first choice by default; ValueError for none of the choices."""
    value = options.get(name, choices[0])
    if value not in choices:
        raise ValueError(f"{name} is {', '.join(choices[:-1])} or {choices[-1]}, got {value!r}")
    return value


def _named(texts: Sequence[str]) -> list[tuple[str, str]]:
    several = len(texts) > 1
    return [(f"text {at}" if several else "the text", text) for at, text in enumerate(texts, 1)]


def _lines(path: Path) -> list[tuple[str, str]]:
    """The lines of a file that are not blank, each with its place."""
    # Only the line breaks that editors write, no form feeds or Unicode separators.
    lines = enumerate(sn.read_text(path).replace("\r\n", "\n").split("\n"), start=1)
    found = [(f"{path}, line {number}", line) for number, line in lines if line.strip()]
    if not found:
        raise ValueError(f"{path} has no sentences: all lines are blank")
    return found


def _as_dict(one: Any, rank: int) -> dict[str, Any]:
    tokens = zip(one.tokens, one.log_probs, strict=True)
    perplexity = one.perplexity
    return {
        "text": one.text,
        "rank": rank,
        "log_prob": one.log_prob,
        "per_token": one.per_token,
        "perplexity": perplexity if math.isfinite(perplexity) else None,
        "tokens": [[token, value] for token, value in tokens],
    }


def _print(scores: Sequence[Any], places: Sequence[int], by: str, unit: str) -> None:
    from structnet.plugins.sequence.generation.scoring import odds

    rows = [
        [
            str(place),
            f"{one.log_prob:.2f}",
            f"{len(one.tokens):,}",
            f"{one.per_token:.3f}",
            f"{one.perplexity:,.2f}",
            one.text,
        ]
        for one, place in zip(scores, places, strict=True)
    ]
    head = ["rank", "nats", f"{unit}s", f"nats per {unit}", "perplexity", "text"]
    sn.print_rows(head, rows, left=(5,))
    if len(scores) > 1:
        best = scores[places.index(1)]
        print(f"most probable: {sn.visible(best.text)}")
        if by == "log_prob":
            print(f"{odds(scores):,.3g} times as probable as the next")
