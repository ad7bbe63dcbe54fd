"""Reading the files of a run, which may come from anyone: plain data, checked before use."""

from pathlib import Path
from typing import Any

from structnet.registry.option_types import LONGEST as MOST_VALUES
from structnet.run.manifest import Damaged, Manifest
from structnet.run.plain import is_finite, read_json, read_yaml, refuse_other_numbers, shown
from structnet.system.words import command_line

# The longest value of an option, in characters: a path's.
LONGEST = 4096
# Options that older runs and sweeps have by another name.
RENAMED = {"trainer.minutes": "trainer.limit_minutes"}


def saved_config(directory: str | Path) -> dict[str, Any]:
    """The saved configuration of a run; FileNotFoundError if there is none."""
    file = Path(directory) / "config.yaml"
    if not file.is_file():
        if not file.parent.is_dir():
            raise FileNotFoundError(f"no run in {directory}: there is no such directory")
        raise FileNotFoundError(f"no run in {directory}: it has no config.yaml")
    return plain_config(read_yaml(file), file)


def renamed(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration with the names that its options have now."""
    for old, new in RENAMED.items():
        group, _, option = old.partition(".")
        choice = config.get(group)
        if isinstance(choice, dict) and option in choice:
            config = {**config, group: {new.partition(".")[2] if one == option else one: value
                                        for one, value in choice.items()}}  # fmt: skip
    return config


def plain_config(config: Any, file: Path) -> dict[str, Any]:
    """A configuration as a file holds it; ValueError names the file and what is not plain."""
    if not isinstance(config, dict):
        raise ValueError(f"{file} is not a configuration: it holds {shown(config)}")
    try:
        for group, choice in config.items():
            _refuse_other_choice(group, choice)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    return renamed(config)


def _refuse_other_choice(group: Any, choice: Any) -> None:
    """ValueError for anything but one option, or a component with its options."""
    options = choice if isinstance(choice, dict) else {group: choice}
    for option, value in options.items():
        where = f"{group}.{option}" if isinstance(choice, dict) else group
        if not isinstance(group, str) or not isinstance(option, str):
            raise ValueError(f"{shown(where)} is not the name of an option")
        values = value if isinstance(value, list) else [value]
        if len(values) > MOST_VALUES or not all(map(_is_plain, values)):
            raise ValueError(
                f"{where} must be one plain value of limited size, or a list of at most "
                f"{MOST_VALUES} such values, got {shown(value)}"
            )
    if isinstance(choice, dict) and not isinstance(choice.get("name", ""), str):
        raise ValueError(
            f"{group}.name must be the name of a component, got {shown(choice['name'])}"
        )


def _is_plain(value: Any) -> bool:
    large = isinstance(value, str) and len(value) > LONGEST
    large = large or (type(value) is int and value.bit_length() > 63)
    return not large and isinstance(value, bool | int | float | str | None)


def read_metrics(directory: Path) -> dict[str, Any]:
    """The saved figures of a run; empty if it has no metrics.json."""
    file = directory / "metrics.json"
    if not file.is_file():
        return {}
    try:
        Manifest(directory).read(file.name)
    except Damaged as error:
        raise Damaged(
            f"{error}; write it again with: {command_line('train', f'resume={directory}')}"
        ) from error
    metrics = read_json(file)
    try:
        _refuse_other_metrics(metrics)
    except ValueError as error:
        raise ValueError(
            f"{file}: {error}; remove the file to go on without its figures"
        ) from error
    return metrics


def _refuse_other_metrics(metrics: Any) -> None:
    if not isinstance(metrics, dict):
        raise ValueError(f"expected figures by name, got {shown(metrics)}")
    for part in ("test", "validation", "train"):
        if part in metrics:
            refuse_other_numbers(metrics[part], part)
    if not isinstance(metrics.get("baselines", {}), dict):
        raise ValueError(f"baselines must map names to figures, got {shown(metrics['baselines'])}")
    for name, figures in metrics.get("baselines", {}).items():
        refuse_other_numbers(figures, f"baselines, {shown(name)}")


def read_description(file: Path, learned: tuple[str, ...]) -> tuple[dict | None, dict[str, Any]]:
    """The vocabulary's counts, None without one, and what else the task has `learned`, by name."""
    return understood(read_json(file), learned, file)


def understood(
    described: Any, learned: tuple[str, ...], file: Path
) -> tuple[dict | None, dict[str, Any]]:
    """The same of a description that a file holds."""
    try:
        counts = _vocabulary(described)
        found = described.get("learned")
        others = ["classes"] if isinstance(found, dict) and "classes" in found else []
        return counts, {name: _learned(described, name) for name in (*learned, *others)}
    except ValueError as error:
        raise ValueError(f"{file} is not a saved model's description: {error}") from error


def _vocabulary(described: Any) -> dict[str, int] | None:
    if not isinstance(described, dict) or "vocabulary" not in described:
        raise ValueError(f"it has no 'vocabulary', but {shown(described)}")
    counts = described["vocabulary"]
    if counts is not None:
        refuse_other_numbers(counts, "vocabulary")
        for word, count in counts.items():
            if type(count) is not int or count < 0:
                raise ValueError(f"vocabulary, {shown(word)} must be a count, got {shown(count)}")
    return counts


def _learned(described: dict[str, Any], name: str) -> Any:
    of = described.get("learned")
    if not isinstance(of, dict) or name not in of:
        raise ValueError(f"learned has no {name!r}, but {shown(of)}")
    value = of[name]
    if name == "classes" and not (isinstance(value, list) and all(type(v) is str for v in value)):
        raise ValueError(f"learned, 'classes' must be a list of names, got {shown(value)}")
    if name == "scale" and not (_is_scale(value) or _are_scales(value)):
        raise ValueError(f"learned, 'scale' must be a mean and a deviation, got {shown(value)}")
    return value


def _is_scale(value: Any) -> bool:
    pair = isinstance(value, list) and len(value) == 2
    return pair and all(map(is_finite, value)) and value[1] > 0


def _are_scales(value: Any) -> bool:
    """Whether a value is a scale for each of several numbers."""
    return isinstance(value, list) and bool(value) and all(map(_is_scale, value))
