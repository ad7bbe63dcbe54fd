"""automaton: reads a finite automaton back out of a trained net, and draws it."""

import json
from pathlib import Path
from typing import Any

import structnet as sn

HELP = """\
structnet automaton run=DIR: read a finite automaton back out of a net trained on task=automaton

  run=DIR         the directory of a run, or a folder of such runs, as a comparison's
  method=WHAT     queries (the default): L*, which asks the net about strings; clusters: k-means of
                  the states that the net has while it reads strings
  states=N        the most states, or the most clusters (30)
  strings=N       strings drawn for every range of lengths (1000)
  seed=N          seed of the strings (0)
  out=FILE.png    the picture (automaton.png in the run's directory)
  --plugin FILE   a Python file that registers your own components; may be repeated
  --traceback     show where an error came from

Prints on how many unseen strings net, automaton and language agree, by length, and a shortest
string on which automaton and language differ, if there is one. The picture shows the language's
minimal automaton beside the one that was read out; automaton.json, in the run's directory, holds
the latter. For a folder of runs, it prints one line each.
"""
METHODS = ("queries", "clusters")


def run(words: list[str]) -> int:
    options = sn.take_options(
        words, required=("run",), optional=("method", "states", "strings", "seed", "out")
    )
    method = options.get("method", METHODS[0])
    if method not in METHODS:
        raise ValueError(f"method is {' or '.join(METHODS)}, got {method!r}")
    limits: dict[str, Any] = {
        "method": method,
        "most_states": sn.whole(options.get("states", "30"), "states", 2),
        "strings": sn.whole(options.get("strings", "1000"), "strings", 10),
        "seed": sn.whole(options.get("seed", "0"), "seed", 0),
    }
    folder = Path(options["run"])
    places = [] if (folder / "config.yaml").is_file() else _runs_in(folder)
    if not places:
        _print_one(folder, options.get("out"), limits)
    elif "out" in options:
        raise ValueError(
            f"out is the picture of one run, {folder} holds {len(places)}: leave it out"
        )
    else:
        _print_all(places, limits)
    return 0


def _print_one(directory: Path, out: str | None, limits: dict[str, Any]) -> None:
    from structnet.plugins.files.images import check_picture

    picture = directory / "automaton.png" if out is None else check_picture(Path(out))
    task, reading = _read(directory, limits)
    head = ["length", "strings", "net = language", "automaton = language", "automaton = net"]
    rows = []
    for (low, high), strings, *shares in reading.agreements:
        rows.append([f"{low}-{high}", f"{strings:,}", *map(_share, shares)])
    sn.print_rows(head, rows)
    sizes = f"{len(reading.found)} states, the language's minimal one {len(task.automaton)}"
    print(sn.visible(f"automaton: {sizes}: {_verdict(reading)}"))
    if not reading.is_complete:
        print("it does not agree with the net on all strings it was tried on")
    print(sn.visible(_save(directory, picture, task, reading)))


def _print_all(places: list[Path], limits: dict[str, Any]) -> None:
    """One line per run, and how many of them gave the minimal automaton of their language."""
    rows, equal, lengths = [], 0, set()
    for directory in places:
        task, reading = _read(directory, limits)
        _save(directory, directory / "automaton.png", task, reading)
        equal += reading.difference is None
        (low, high), _, *shares = reading.agreements[-1]
        lengths.add(f"{low}-{high}")
        states = f"{len(reading.found)} of {len(task.automaton)}"
        rows.append([directory.name, *map(_share, shares), states, _verdict(reading)])
    of = ", ".join(sorted(lengths))
    head = [f"length {of}", "net = language", "automaton = language", "automaton = net"]
    sn.print_rows([*head, "states", "automata"], rows, left=(0, 5))
    print(f"equal to the minimal automaton: {equal} of {len(places)}")


def _read(directory: Path, limits: dict[str, Any]) -> tuple[Any, Any]:
    """A run's task, and the automaton that was read out of its net."""
    run = sn.Run.open(directory)

    # Imported here, as help needs no torch.
    from structnet.plugins.sequence.automata.reading import read_automaton
    from structnet.plugins.sequence.tasks.automaton import AutomatonTask

    if not isinstance(run.task, AutomatonTask):
        raise ValueError(
            f"{directory} is a run of task {run.config['task']['name']!r}, which has no automaton: "
            "take a run of task=automaton"
        )
    return run.task, read_automaton(run.task, run.load_net(), run.topology, **limits)


def _runs_in(folder: Path) -> list[Path]:
    return sorted(file.parent for file in folder.glob("*/config.yaml"))


def _share(value: float) -> str:
    return f"{value:.4f}"


def _verdict(reading: Any) -> str:
    if reading.difference is None:
        return "equal"
    return f"they differ, first at {reading.difference!r}"


def _save(directory: Path, picture: Path, task: Any, reading: Any) -> str:
    """Write automaton.json and the picture, which large automata have none of; what to say."""
    from structnet.plugins.sequence.automata.picture import MOST_DRAWN, draw_automata

    found = reading.found
    described = {
        "alphabet": found.alphabet,
        "successors": found.successors.tolist(),
        "accepting": found.accepting.tolist(),
        "difference": reading.difference,
        "queries": reading.queries,
        "agreements": [one._asdict() for one in reading.agreements],
    }
    text = json.dumps(described) + "\n"
    sn.write(directory / "automaton.json", lambda path: path.write_text(text))
    if max(len(found), len(task.automaton)) > MOST_DRAWN:
        return f"no picture: one of the automata has more than {MOST_DRAWN} states"
    automata = {"the language": task.automaton, "read out of the net": found}
    title = f"{task.title}: {_verdict(reading)}"
    sn.write(picture, lambda path: draw_automata(path, automata, title))
    return f"picture: {picture}"
