"""list: components with their options, and configuration files."""

import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from structnet.config.listing import components
from structnet.config.presets import presets
from structnet.execute.features import FEATURES
from structnet.system.terminal import print_rows, visible
from structnet.system.words import command_line, take_flag, take_values

WIDTH = 100
TITLES = {
    "cells": "cell",
    "topologies": "topology",
    "readouts": "readout",
    "heads": "head",
    "nets": "net",
    "tasks": "task",
    "trainers": "trainer",
    "executors": "executor",
    "experiments": "experiment",
    "debug": "debug",
}
# Without a word, all but the groups of files only.
COMPONENTS = ("cell", "topology", "readout", "head", "net", "task", "trainer", "executor")
Components = Mapping[str, Mapping[str, Any]]


def run(words: list[str]) -> int:
    as_json = take_flag(words, "--json")
    folders = take_values(words, "--config-dir")
    is_pair = len(words) == 2 and TITLES.get(words[1], words[1]) not in TITLES.values()
    name = words.pop() if is_pair else None
    wanted = [_group(word, folders) for word in words] or COMPONENTS
    listed = {
        title: _components(group, folders) for title, group in TITLES.items() if group in wanted
    }
    if name is not None:
        listed = {title: _only(name, wanted[0], found) for title, found in listed.items()}
    if as_json:
        print(json.dumps(listed, indent=1))
        return 0
    for title, found in listed.items():
        with_options = [name for name, about in found.items() if about["options"]]
        _print(title, found, with_meanings=len(with_options) == 1)
        if title == "executors":
            _print_executors(found)
    return 0


def _components(group: str, folders: Sequence[str]) -> Components:
    """The components of a group, and its configuration files."""
    if group == "executor":
        return components()[group]
    files = {name: {"doc": doc, "options": {}} for name, doc in presets(group, folders).items()}
    return {**components().get(group, {}), **files}


def _group(word: str, folders: Sequence[str]) -> str:
    """The group that a word names in singular or plural; ValueError for an unknown one."""
    from structnet.registry.suggest import did_you_mean

    group = TITLES.get(word, word)
    if group in TITLES.values():
        return group
    of = [one for one in TITLES.values() if word in _components(one, folders)]
    advice = f"; write {command_line('list', of[0], word)}" if of else ""
    raise ValueError(f"no group {word!r} {did_you_mean(word, TITLES)}{advice}")


def _only(name: str, group: str, components: Components) -> Components:
    from structnet.registry.suggest import did_you_mean

    if name not in components:
        raise ValueError(f"no {group} {name!r} {did_you_mean(name, components)}")
    return {name: components[name]}


def _print(title: str, components: Components, with_meanings: bool) -> None:
    print(title)
    width = max(12, *(len(name) + 2 for name in components)) if components else 12
    for name, about in components.items():
        for line in textwrap.wrap(visible(about["doc"]), WIDTH - width - 2) or [""]:
            print(f"  {visible(name):<{width}}{line}".rstrip())
            name = ""
        for option, spec in about["options"].items():
            default = "required" if spec.get("required") else json.dumps(spec["default"])
            print(visible(f"    {option} = {default} ({spec['type']})"))
            if with_meanings and "meaning" in spec:
                indent = " " * 8
                print(textwrap.fill(visible(spec["meaning"]), WIDTH, initial_indent=indent,
                                    subsequent_indent=indent))  # fmt: skip


def _print_executors(executors: Components) -> None:
    """Print what each executor can do: one column per executor, one row per feature."""
    rows = [
        [feature, *("yes" if feature in about["takes"] else "" for about in executors.values())]
        for feature in FEATURES
    ]
    gpu = ["needs a GPU", *("yes" if about["needs_gpu"] else "" for about in executors.values())]
    print("\nwhat they can do besides running a cell over a plan")
    print_rows(["", *executors], [*rows, gpu])
    print()
    for feature, meaning in FEATURES.items():
        if feature != meaning:
            print(f"  {feature:<12}{meaning}")
