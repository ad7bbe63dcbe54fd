"""A page for every cell, topology, executor, readout, head, net and task, from its docstring."""

import inspect
import re
import shutil
from pathlib import Path

import structnet as sn
from structnet.config.groups import executors, groups
from structnet.draw.picture import draw, example, sizes_of
from structnet.registry.option_types import spell

REGISTRIES = {
    "cell": sn.cells, "topology": sn.topologies, "executor": sn.executors,
    "readout": sn.readouts, "head": sn.heads, "net": sn.nets, "task": sn.tasks,
}  # fmt: skip
TITLES = {"cell": "Cells", "topology": "Topologies", "executor": "Executors",
          "readout": "Readouts", "head": "Heads", "net": "Nets", "task": "Tasks"}  # fmt: skip
# Of a net with 128 inputs and 128 hidden units, whose weights are counted.
SIZE = 128
COUNTED = {"chain": {}, "tree": {}, "graph": {}}


def write_pages(folder: Path) -> None:
    """Write a folder of pages for each kind of component, and a list of each kind."""
    shutil.rmtree(folder, ignore_errors=True)
    known = {**groups(), "executor": executors()}
    for kind, registry in REGISTRIES.items():
        place = folder / kind
        place.mkdir(parents=True)
        names = [name for name in registry.names() if is_built_in(registry, name)]
        for name in names:
            text = page_of(kind, name, registry[name], known[kind][name]["options"], place)
            (place / f"{name}.md").write_text(text)
        (folder / f"{kind}.md").write_text(list_of(kind, names, known[kind]))


def is_built_in(registry, name: str) -> bool:
    return registry[name].__module__.split(".")[0] == "structnet"


def list_of(kind: str, names, known) -> str:
    """The page that lists all components of a kind."""
    rows = [f"| [`{name}`]({kind}/{name}.md) | {known[name]['doc']} |" for name in names]
    pages = "\n".join(f"{kind}/{name}" for name in names)
    return "\n".join([
        f"# {TITLES[kind]}", "", "| name | is |", "|---|---|", *rows, "",
        "```{toctree}", ":hidden:", "", pages, "```", "",
    ])  # fmt: skip


def page_of(kind: str, name: str, component, options, folder: Path) -> str:
    """The page of a component: what it is, a picture or the number of its weights, its options."""
    first, _, rest = (inspect.getdoc(component) or "").partition("\n")
    said = rest.partition("\nArguments:")[0].strip()
    parts = [f"# {kind.capitalize()} `{name}`", first]
    if said:
        parts.append(f"```{{eval-rst}}\n{escaped(said)}\n```")
    if kind == "topology":
        parts.append(picture_of(name, component, folder))
    if kind == "cell":
        parts.append(weights_of(name))
    parts.append(options_of(kind, options))
    return "\n\n".join(filter(None, parts)) + "\n"


def escaped(text: str) -> str:
    """A docstring's text, whose equations mean nothing in reStructuredText."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        one if one.startswith("`") else re.sub(r"([*_|])", r"\\\1", one) for one in parts
    )


def picture_of(name: str, component, folder: Path) -> str:
    """An example of a topology, drawn level by level."""
    topology = sn.topologies.create(name)
    sizes = sizes_of(topology)
    draw(topology, example(topology, sizes), folder / f"{name}.png")
    words = " ".join(f"{key}={value}" for key, value in sizes.items())
    return (
        f"![An example of topology {name}, level by level]({name}.png)\n\n"
        f"`structnet draw topology={name} {words}`; nodes of one colour are a level."
    )


def weights_of(name: str) -> str:
    """How many weights a layer of a cell has, by topology."""
    rows = []
    for topology in COUNTED:
        try:
            layer = sn.Recurrence(topology, name, SIZE, SIZE)
        except ValueError:
            continue
        count = sum(one.numel() for one in layer.parameters())
        rows.append(f"| `{topology}` | {count:,} |")
    return "\n".join([f"| topology | weights of {SIZE} inputs and {SIZE} hidden units |",
                      "|---|---|", *rows])  # fmt: skip


def options_of(kind: str, options) -> str:
    """The options of a component as a table."""
    if not options:
        return ""
    rows = []
    for option, spec in options.items():
        default = "required" if spec.get("required") else f"`{spell(spec['default'])}`"
        meaning = spec.get("meaning", "").replace("|", "\\|")
        rows.append(f"| `{kind}.{option}` | {spec['type']} | {default} | {meaning} |")
    return "\n".join(["## Options", "", "| option | is | default | means |", "|---|---|---|---|",
                      *rows])  # fmt: skip
