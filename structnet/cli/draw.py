"""draw: an example of a topology, a sample of a task, or a run's predictions on one, drawn."""

from pathlib import Path
from typing import Any

from structnet.config.composing import compose, saved
from structnet.config.fitting import fitting_words
from structnet.draw.animation import animate
from structnet.draw.picture import FORMATS, Look, check_path, draw, example, save, sizes_of
from structnet.draw.samples import drawing_of, find_samples, look_of_data, look_of_run
from structnet.registry import tasks, topologies
from structnet.run.components import create
from structnet.run.run import Run
from structnet.system.terminal import visible
from structnet.system.words import take_options, whole
from structnet.topology.base import Topology

ANIMATED = ".gif"
OF_SAMPLES = ("sample", "split", "out")
# The titles of the panels, and the file.
Drawn = tuple[list[str], Path]


def run(words: list[str]) -> int:
    keys = {word.partition("=")[0] for word in words}
    if "run" in keys:
        titles, path = _draw_run(words)
    elif "task" in keys:
        titles, path = _draw_task(words)
    else:
        titles, path = _draw_topology(words)
    print(*map(visible, (*titles, f"picture: {path}")), sep="\n")
    return 0


def _draw_run(words: list[str]) -> Drawn:
    options = take_options(words, required=("run",), optional=OF_SAMPLES)
    split, number = _sample(options)
    directory = Path(options["run"])
    path = Path(options.get("out", directory / f"{split}-{number}.png"))
    run = Run.compose(saved(options["run"]), directory)
    check_path(path, (*FORMATS, ANIMATED))
    net = run.load_net()
    samples, at = find_samples(run.task, run.topology, split, number)
    title = f"{split} sample {number}"
    if (drawing := drawing_of(run.task, run.topology, net, samples, at)) is not None:
        save(drawing.figure(title), path)
        return [title], path
    look = look_of_run(run, net, samples, at, title)
    return _drawn(run.topology, samples[at].structure, path, look), path


def _draw_task(words: list[str]) -> Drawn:
    chosen, options = _parted(words, ("task", "topology"), OF_SAMPLES)
    split, number = _sample(options)
    config = compose([*chosen, *fitting_words(chosen)])
    task = create(tasks, config["task"])
    topology = create(topologies, config["topology"])
    task.check(topology)
    name = config["task"]["name"]
    path = Path(options.get("out", f"{name}-{number}.png"))
    check_path(path, (*FORMATS, ANIMATED))
    samples, at = find_samples(task, topology, split, number)
    title = f"{name}, {split} sample {number}"
    if (drawing := drawing_of(task, topology, None, samples, at)) is not None:
        save(drawing.figure(title), path)
        return [title], path
    look = look_of_data(task, samples[at], title)
    return _drawn(topology, samples[at].structure, path, look), path


def _draw_topology(words: list[str]) -> Drawn:
    choice = compose([word for word in words if _group(word) == "topology"])["topology"]
    topology = create(topologies, choice)
    sizes = sizes_of(topology)
    _, options = _parted(words, ("topology",), (*sizes, "out"))
    path = Path(options.pop("out", f"{choice['name']}.png"))
    for name, value in options.items():
        sizes[name] = whole(value, name, least=0 if name == "seed" else 1)
    return _drawn(topology, example(topology, sizes), path), path


def _drawn(topology: Topology, structure: Any, path: Path, look: Look | None = None) -> list[str]:
    """Draw a structure, level after level if the file is a GIF; the titles of the panels."""
    check_path(path, (*FORMATS, ANIMATED))
    made = animate if path.suffix == ANIMATED else draw
    return made(topology, structure, path, look)


def _parted(
    words: list[str], groups: tuple[str, ...], optional: tuple[str, ...]
) -> tuple[list[str], dict[str, str]]:
    """The words that compose the groups, and the values of all others."""
    chosen = [word for word in words if _group(word) in groups]
    others = [word for word in words if word not in chosen]
    return chosen, take_options(others, required=(), optional=optional)


def _group(word: str) -> str:
    return word.partition("=")[0].partition(".")[0]


def _sample(options: dict[str, str]) -> tuple[str, int]:
    """The split and the number of the sample to draw."""
    return options.get("split", "test"), whole(options.get("sample", "0"), "sample", 0)
