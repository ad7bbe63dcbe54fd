"""`structnet draw`: an example of a topology, a sample of a task, or what a run says of one."""

from pathlib import Path

from structnet.config.compose import compose, saved
from structnet.config.fitting import fitting_words
from structnet.draw.picture import check_path, example, sizes_of
from structnet.draw.picture import draw as draw_structure
from structnet.draw.samples import find_samples, look_of_data, look_of_run
from structnet.registry import tasks, topologies
from structnet.run.components import create
from structnet.run.run import Run
from structnet.system.words import take_options, whole

CHOICE = ("sample", "split", "out")
Drawn = tuple[list[str], Path]


def draw(words: list[str]) -> Drawn:
    """Draw what the words say; what the panels show, and the picture's place."""
    keys = {word.partition("=")[0] for word in words}
    if "run" in keys:
        return _draw_run(words)
    return _draw_task(words) if "task" in keys else _draw_topology(words)


def _draw_run(words: list[str]) -> Drawn:
    options = take_options(words, required=("run",), optional=CHOICE)
    split, number = _choice(options)
    directory = Path(options["run"])
    path = Path(options.get("out", directory / f"{split}-{number}.png"))
    run = Run.compose(saved(options["run"]), directory)
    check_path(path)
    net = run.load_net()
    samples, at = find_samples(run.task, run.topology, split, number)
    look = look_of_run(run, net, samples, at, f"{split} sample {number}")
    return draw_structure(run.topology, samples[at].structure, path, look), path


def _draw_task(words: list[str]) -> Drawn:
    groups, options = _parted(words, ("task", "topology"), CHOICE)
    split, number = _choice(options)
    config = compose([*groups, *fitting_words(groups)])
    task = create(tasks, config["task"])
    topology = create(topologies, config["topology"])
    task.check(topology)
    name = config["task"]["name"]
    path = Path(options.get("out", f"{name}-{number}.png"))
    check_path(path)
    samples, at = find_samples(task, topology, split, number)
    look = look_of_data(task, samples[at], f"{name}, {split} sample {number}")
    return draw_structure(topology, samples[at].structure, path, look), path


def _draw_topology(words: list[str]) -> Drawn:
    groups = [word for word in words if _group_of(word) == "topology"]
    choice = compose(groups)["topology"]
    topology = create(topologies, choice)
    sizes = sizes_of(topology)
    _, options = _parted(words, ("topology",), (*sizes, "out"))
    path = Path(options.pop("out", f"{choice['name']}.png"))
    for name, value in options.items():
        sizes[name] = whole(value, name, least=0 if name == "seed" else 1)
    return draw_structure(topology, example(topology, sizes), path), path


def _parted(
    words: list[str], groups: tuple[str, ...], optional: tuple[str, ...]
) -> tuple[list[str], dict[str, str]]:
    """The words that compose the groups, and the other words' options."""
    chosen = [word for word in words if _group_of(word) in groups]
    others = [word for word in words if word not in chosen]
    return chosen, take_options(others, required=(), optional=optional)


def _group_of(word: str) -> str:
    return word.partition("=")[0].partition(".")[0]


def _choice(options: dict[str, str]) -> tuple[str, int]:
    """The split and the number of a sample."""
    return options.get("split", "test"), whole(options.get("sample", "0"), "sample", 0)
