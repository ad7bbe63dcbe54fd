"""complete: the most probable next words of a text, as a phone's keyboard offers them."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import structnet as sn

HELP = """\
structnet complete run=DIR [prefix=TEXT]: the most probable next words of a text

  run=DIR         the directory of the run of a language model
  prefix=TEXT     the text; its last word is completed, or after a space a new one offered
  n=N             the number of words (5)
  unseen=WHAT     replace (the default), skip or error: characters or words of the text that the net
                  doesn't know
  --json          machine-readable output, one line per text
  --plugin FILE   a Python file that registers your own components; may be repeated
  --traceback     show where an error came from

Without prefix=, words are offered while you type on a terminal; Tab or a number takes one, Ctrl-D
ends. Where standard input is not a terminal, words are offered for each of its lines.
"""
FLAGS = ("--json",)


def run(words: list[str]) -> int:
    as_json = sn.take_flag(words, "--json")
    options = sn.take_options(words, ("run",), ("prefix", "n", "unseen"))
    n = sn.whole(options.get("n", "5"), "n")
    unseen: Any = options.get("unseen", "replace")
    if unseen not in ("replace", "skip", "error"):
        raise ValueError(f"unseen is replace, skip or error, got {unseen!r}")

    from structnet.plugins.sequence.generation.completion import Completion, complete
    from structnet.plugins.sequence.generation.keyboard import converse
    from structnet.plugins.sequence.generation.texts import language_model

    task, net = language_model(options["run"])

    def offer(text: str) -> list[Completion]:
        return complete(task, net, text, n, unseen)

    if "prefix" not in options and sys.stdin.isatty() and not as_json:
        converse(lambda text: [sn.visible(one.word) for one in offer(text)])
        return 0
    texts: Iterable[str] = [options["prefix"]] if "prefix" in options else map(_line, sys.stdin)
    for text in texts:
        _print(text, offer(text), as_json, one="prefix" in options)
    return 0


def _line(line: str) -> str:
    return line.rstrip("\r\n")


def _print(text: str, found: Sequence[Any], as_json: bool, one: bool) -> None:
    if as_json:
        words = [{"word": one.word, "probability": one.probability} for one in found]
        print(json.dumps({"text": text, "words": words}), flush=True)
    elif one:
        sn.print_rows(["word", "probability"], [[o.word, f"{o.probability:.3f}"] for o in found])
    else:
        words = "  ".join(f"{one.word} ({one.probability:.3f})" for one in found)
        print(sn.visible(words), flush=True)
