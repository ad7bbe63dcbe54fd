"""check: what everything registered has to pass, of one component."""

import json
import sys
from collections.abc import Callable
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from structnet.system.words import take_flag, take_repeated, whole

if TYPE_CHECKING:
    from structnet.check.card import Card

KINDS = ("cell", "topology", "executor", "task")
# The groups of words that a task is checked with.
OF_TASK = ("task", "topology", "cell", "net", "readout", "head", "seed")
# Those whose checks compile and go deep.
QUICK = ("cell", "topology")
DEPTH = 100_000


def run(words: list[str]) -> int:
    as_json, quick = (take_flag(words, flag) for flag in ("--json", "--quick"))
    out = [Path(one).expanduser() for one in take_repeated(words, "out")][-1:]
    depths = take_repeated(words, "depth")
    depth = whole(depths[-1], "depth", 2) if depths else DEPTH
    kind = _kind(words)
    if quick and kind not in QUICK:
        raise ValueError(
            f"--quick is for {' and '.join(f'{one}=' for one in QUICK)}: it would "
            f"leave out nothing of {kind}="
        )
    if quick and depths:
        raise ValueError(f"depth={depth} with --quick, which leaves out deep structures: drop one")
    for path in out:
        if path.is_dir():
            raise ValueError(f"out={path} is a folder: name a file, such as {path / 'card.json'}")
        if not path.absolute().parent.is_dir():
            raise FileNotFoundError(f"no folder {path.absolute().parent} to write {path.name} to")
    # What a task prints of its data would stand among the card's JSON.
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        card = _checks(kind, words, depth, quick)()
    text = json.dumps(card.as_dict(), indent=1)
    if as_json:
        print(text)
    else:
        card.show()
    for path in out:
        from structnet.system.files import write_bytes

        write_bytes(path, f"{text}\n".encode())
    return 0 if card.passed else 1


def _kind(words: list[str]) -> str:
    """What is checked; ValueError where no word, or more than one, says it."""
    chosen = [word.partition("=")[0] for word in words]
    named = [kind for kind in KINDS if kind in chosen]
    # A task is checked on a topology, with a cell.
    named = ["task"] if "task" in named else named
    if len(named) != 1:
        raise ValueError(
            f"what is to be checked? Write one of {', '.join(f'{kind}=NAME' for kind in KINDS)}"
            + (f", got {' and '.join(named)}" if named else "")
        )
    (kind,) = named
    taken = OF_TASK if kind == "task" else (kind,)
    for word, name in zip(words, chosen, strict=True):
        if name.split(".")[0] not in taken or chosen.count(name) > 1:
            twice = chosen.count(name) > 1
            raise ValueError(
                f"{word!r} {'is given twice' if twice else 'says nothing of it'}: a {kind} is "
                f"checked with words of {', '.join(taken)}, and depth= and out="
            )
    return kind


def _checks(kind: str, words: list[str], depth: int, quick: bool) -> "Callable[[], Card]":
    from structnet import registry
    from structnet.check import components, tasks
    from structnet.config.composing import compose
    from structnet.config.fitting import fitting_words

    if kind == "executor":
        ((name,), rest) = take_repeated(words, kind), words
        if rest:
            raise ValueError(f"{rest[0]!r}: an executor is checked by name alone")
        # Refuses a name that is not known.
        registry.executors[name]
        return lambda: components.check_executor({"name": name})
    if kind == "task":
        config = compose([*words, *fitting_words(words), "debug=steps"])
        return lambda: tasks.check_task(config)
    config = compose(words)
    if kind == "cell":
        return lambda: components.check_cell(config["cell"], depth, quick)
    return lambda: components.check_topology(config["topology"], depth, quick)
