"""A page for every cell, topology, executor, readout, head, net and task, from its docstring."""

import re
import shutil
from pathlib import Path

from cell_pages import (
    LEGEND,
    cost_part,
    equations_part,
    runs_part,
    states_part,
    weights_part,
)
from executor_pages import cells_part, takes_part
from notation import prose
from paper_links import papers_part
from reading import example_part, see_also_part

import structnet as sn
from structnet.config.groups import executors, groups
from structnet.draw.picture import draw, example, sizes_of
from structnet.registry.meanings import first_line
from structnet.registry.option_types import spell

REGISTRIES = {
    "cell": sn.cells, "topology": sn.topologies, "executor": sn.executors,
    "readout": sn.readouts, "head": sn.heads, "net": sn.nets, "task": sn.tasks,
}  # fmt: skip
TITLES = {"cell": "Cells", "topology": "Topologies", "executor": "Executors",
          "readout": "Readouts", "head": "Heads", "net": "Nets", "task": "Tasks"}  # fmt: skip


def write_pages(folder: Path) -> None:
    """Write a folder of pages for each kind of component, and a list of each kind."""
    shutil.rmtree(folder, ignore_errors=True)
    known = {**groups(), "executor": executors()}
    for kind, registry in REGISTRIES.items():
        place = folder / kind
        place.mkdir(parents=True)
        names = built_in(registry)
        for name in names:
            text = page_of(kind, name, registry[name], known[kind][name]["options"], place)
            (place / f"{name}.md").write_text(text)
        (folder / f"{kind}.md").write_text(list_of(kind, names, known[kind]))


def built_in(registry) -> list[str]:
    """The names of a registry's own components."""
    return [name for name in registry.names() if is_built_in(registry, name)]


def is_built_in(registry, name: str) -> bool:
    return registry[name].__module__.split(".")[0] == "structnet"


def list_of(kind: str, names, known) -> str:
    """The page that lists all components of a kind."""
    rows = [f"| [`{name}`]({kind}/{name}.md) | {known[name]['doc']} |" for name in names]
    pages = "\n".join(f"{kind}/{name}" for name in names)
    return "\n".join([
        f"# {TITLES[kind]}", "", *([LEGEND] if kind == "cell" else []),
        "| name | is |", "|---|---|", *rows, "", "```{toctree}", ":hidden:", "", pages,
        "```", "",
    ])  # fmt: skip


def page_of(kind: str, name: str, component, options, folder: Path) -> str:
    """The page of a component: what it is, its command, figures or a picture, its options."""
    first, before, after = said(component)
    parts = [f"# {kind.capitalize()} `{name}`", first, text_of(before)]
    if kind == "cell":
        parts.append(equations_part(name))
    parts.append(text_of(after))
    parts.append(example_part(kind, name))
    if kind == "topology":
        parts.append(picture_of(name, component, folder))
    if kind == "cell":
        parts += [weights_part(name), states_part(name), runs_part(name), cost_part(name)]
    if kind == "executor":
        parts += [takes_part(name), cells_part(name, built_in(sn.cells))]
    parts.append(options_of(kind, options))
    parts.append(papers_part(component.__doc__ or ""))
    parts.append(see_also_part(kind, name))
    return "\n\n".join(filter(None, parts)) + "\n"


def said(component) -> tuple[str, str, str]:
    """The first line of a docstring, and what it says before and after its equations."""
    return first_line(component), *prose(component)


def text_of(text: str) -> str:
    """A docstring's text as a part of the page."""
    return f"```{{eval-rst}}\n{escaped(text)}\n```" if text else ""


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


def options_of(kind: str, options) -> str:
    """The options of a component as a table."""
    if not options:
        return ""
    rows = []
    for option, spec in options.items():
        default = "required" if spec.get("required") else f"`{spell(spec['default'])}`"
        meaning = spec.get("meaning", "").replace("|", "\\|")
        rows.append(f"| `{kind}.{option}` | {spec['type']}; {default} | {meaning} |")
    table = ["| option | is; default | means |", "|---|---|---|", *rows]
    return "\n".join(["## Options", "", *table])
