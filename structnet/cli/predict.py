"""predict: predictions of a run's net for a user's files and texts."""

import csv
import io
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from structnet.cli.generate import checked
from structnet.cli.labelled import print_labelled
from structnet.system.terminal import console, visible
from structnet.system.words import command_line, take_flag, take_options, take_repeated, whole
from structnet.training.labelled import is_word, labelled

# The classes, and the words that weighed most, that are shown of one text.
MOST = 5
# Options of a task that say what its splits are.
OF_SPLITS = ("train", "validation", "test", "folds", "fold")


def run(words: list[str]) -> int:
    as_json = take_flag(words, "--json")
    texts = take_repeated(words, "text")
    data = [word for word in words if word.startswith("task.")]
    options = take_options(
        [word for word in words if word not in data],
        required=("run",),
        optional=("path", "file", "top", "min", "out", "changed"),
        also=("text", "task.root"),
    )
    source = _source(texts, options)
    _refuse_splits(data, options["run"])
    if "changed" in options and source != "path":
        raise ValueError(f"changed= looks at the files of path=, not at {source}=: leave it out")
    top = whole(options["top"], "top") if "top" in options else None
    least = _share(options.get("min", "0"))
    if "out" in options:
        checked(Path(options["out"]), is_picture=False)
        if as_json and Path(options["out"]).suffix != ".json":
            raise ValueError(f"out={options['out']} with --json: name a file .json")
    run = _reopened(options["run"], data)
    found: list[Any] = _predict(run, source, texts, options)
    if not found:
        task = run.config["task"]["name"]
        path = visible(options[source])
        since = f" that differs from {options['changed']}" if "changed" in options else ""
        print(f"structnet: nothing in {path}{since} for task {task!r}", file=sys.stderr)
    of_words = bool(found) and run.task.reads_texts and is_word(found[0])
    if of_words:
        if "min" in options:
            raise ValueError("min= is for predictions of samples, here every word has its own")
        found = labelled(found, run.task)
    else:
        found = [one for one in found if one.probability is None or one.probability >= least]
    if "out" in options:
        _save(Path(options["out"]), found[:top], of_words, run.task.wanted)
        return 0
    if as_json:
        print(json.dumps([one.as_dict() for one in found[:top]], indent=1))
        return 0
    groups = _grouped(found) if run.task.wanted is not None else [(one, 1) for one in found]
    shown = groups[: 20 if top is None else top]
    if of_words:
        print_labelled([one for one, _ in shown])
    else:
        _print(shown, source, run.task.wanted)
    if len(groups) > len(shown):
        print(f"... {len(groups) - len(shown)} more; top=N shows N", file=sys.stderr)
    return 0


def _refuse_splits(data: Sequence[str], directory: str) -> None:
    """ValueError for an option of the task that says how it is split."""
    for word in data:
        if word.removeprefix("task.").split("=")[0] in OF_SPLITS:
            raise ValueError(
                f"{word} is of splits, and predict draws none, but reads what it is given: leave "
                f"it out; {command_line('test', f'run={directory}', word)} tests on it"
            )


def _print(shown: Sequence[tuple[Any, int]], source: str, wanted: str | None) -> None:
    """Print predictions, each with the number of those that it stands for."""
    alone = len(shown) == 1
    for number, (one, times) in enumerate(shown):
        if one.node is not None or (source == "path" and not (alone and one.drawing)):
            print(_line(one, wanted, times))
            continue
        if number and one.drawing is not None:
            print()
        _print_text(one)


def _reopened(directory: str, data: Sequence[str]) -> Any:
    """A run, with other options of its task."""
    from structnet.config.composing import override, saved
    from structnet.run.run import Run

    config = saved(directory)
    return Run.compose(override(config, data, "task") if data else config, Path(directory))


def _grouped(found: Sequence[Any]) -> list[tuple[Any, int]]:
    """The first of the predictions with the same text, and how many there are."""
    groups: dict[Any, list[Any]] = {}
    for one in found:
        groups.setdefault((one.origin.text, one.node), []).append(one)
    return [(group[0], len(group)) for group in groups.values()]


def _source(texts: Sequence[str], options: dict[str, str]) -> str:
    """Which of path, file and text is given; ValueError for none of them, or several."""
    given = [name for name in ("path", "file") if name in options] + ["text"] * bool(texts)
    if not given:
        raise ValueError(
            "path=... is missing: write path=FILE_OR_FOLDER, file=FILE for a file with a text per "
            'line, or text="..."'
        )
    if len(given) > 1:
        raise ValueError(f"{'= and '.join(given)}= are both given: take one of them")
    return given[0]


def _predict(run: Any, source: str, texts: Sequence[str], options: dict[str, str]) -> list[Any]:
    from structnet.data.batch import Origin
    from structnet.system.changes import Changes
    from structnet.system.reading import read_text
    from structnet.training.predict import predict, predict_texts

    if source == "path":
        path = Path(options["path"])
        changes = Changes(path, options["changed"]) if "changed" in options else None
        return predict(run, run.load_net(), path, changes)
    place = options.get("file", "text")
    if source == "file":
        texts = read_text(Path(place)).replace("\r\n", "\n").split("\n")
    lines = enumerate(texts, start=1)
    # Blank lines are left out of a file; an empty text on the command line is a mistake.
    origins = [Origin(place, n, one) for n, one in lines if source == "text" or one.strip()]
    return predict_texts(run, run.load_net(), origins)


def _line(one: Any, wanted: str | None, times: int = 1) -> str:
    more = f", x {times}" if times > 1 else ""
    return f"{one} ({f'{one.probability:.3f}' if wanted else one.verdict}{more})"


def _print_text(one: Any) -> None:
    """Print a text, the probabilities of its classes, and the words that weighed most.

    On a terminal words are coloured, the more the larger their weight. Where the task draws the
    sample, that is printed in place of it.
    """
    if one.drawing is not None:
        console().print(one.drawing.text(), no_wrap=True, overflow="ellipsis")
        return
    # Imported here, as help does not need it.
    from rich.text import Text

    line, largest = Text(), max((weight for _, weight in one.words), default=0.0)
    for piece, weight in _pieces(one.origin.text, one.words):
        share = weight / largest if largest else 0.0
        # From white to orange.
        colour = f"black on rgb(255,{round(255 - 105 * share)},{round(255 - 215 * share)})"
        line.append(visible(piece), style=colour if share >= 0.1 else "")
    console().print(line, soft_wrap=True)
    if one.probabilities is None:
        print(f"  {one.verdict}")
    else:
        ordered = sorted(one.probabilities.items(), key=lambda pair: -pair[1])
        more = f", {len(ordered) - MOST} more" if len(ordered) > MOST else ""
        shown = ", ".join(f"{name} {value:.3f}" for name, value in ordered[:MOST])
        print(visible(f"  {shown}{more}{one.comparison}"))
    if named := [pair for pair in one.words if pair[0].strip()]:
        most = sorted(named, key=lambda pair: -pair[1])[:MOST]
        print(visible(f"  most weight: {', '.join(f'{word.strip()} {w:.2f}' for word, w in most)}"))


def _pieces(text: str, words: Sequence[tuple[str, float]]) -> Iterator[tuple[str, float]]:
    """The text in pieces, each with the weight of the word that it is, 0 between words."""
    at, lowered = 0, text.lower()
    # In a few scripts small letters are more than capitals.
    plain = lowered if len(lowered) == len(text) else text
    for word, weight in words:
        # A tokeniser may write a word differently: it is then not marked.
        if word and (found := plain.find(word.lower(), at)) >= 0:
            yield text[at:found], 0.0
            at = found + len(word)
            yield text[found:at], weight
    yield text[at:], 0.0


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ValueError(f"min must be a probability from 0 to 1, got {text!r}")
    return value


def _save(path: Path, found: Sequence[Any], of_words: bool, wanted: str | None) -> None:
    """Write predictions to a file: a list for .json, a table for .csv, else lines.

    Of texts with predictions of words, a table has a row and other files have a line per word.
    """
    from structnet.system.files import write

    if path.suffix == ".json":
        text = json.dumps([one.as_dict() for one in found], indent=1) + "\n"
    elif path.suffix == ".csv":
        table = io.StringIO()
        single = [word for one in found for word in one.predictions] if of_words else found
        rows = [_flat(one.as_dict()) for one in single]
        writer = csv.DictWriter(table, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)
        text = table.getvalue()
    elif of_words:
        text = "".join(one.columns for one in found)
    else:
        text = "".join(f"{_line(one, wanted)}\n" for one in found)
    write(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    print(f"predictions: {path} ({len(found)})")


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a table, with a column for the probability of each class; words are left out."""
    flat = {name: value for name, value in row.items() if not isinstance(value, dict | list)}
    of_classes = row.get("probabilities", {}).items()
    flat |= row.get("values", {})
    return flat | {f"probability of {name}": value for name, value in of_classes}
