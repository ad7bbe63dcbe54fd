"""The list of a sweep's runs, DIR/sweep.json."""

from pathlib import Path
from typing import Any

from structnet.run.plain import read_json

LIST = "sweep.json"


def read_list(directory: Path) -> tuple[list[tuple[list[str], str | None]], list[str]]:
    """The words and the directory, None for none yet, of a sweep's runs; and its folders.

    ValueError says what is wrong with the list.

    Arguments:
        directory: the sweep's.
    """
    file = directory / LIST
    try:
        found = read_json(file)
        listed = [(list(map(str, one["words"])), one["run"]) for one in found["runs"]]
        if not listed or not all(map(_is_place, (run for _, run in listed))):
            raise TypeError("run must be the name of a directory")
        folders = list(map(str, found["folders"]))
    except (TypeError, KeyError) as error:
        raise ValueError(f"{file} is not the list of a sweep: {error!r}") from error
    return [(words, _place_now(run, directory)) for words, run in listed], folders


def _is_place(name: Any) -> bool:
    """Whether a value in the list is None, or may be the name of a directory."""
    return name is None or (type(name) is str and 0 < len(name) < 1024 and "\0" not in name)


def _place_now(run: str | None, directory: Path) -> str | None:
    """The directory of a run; if it is not there, the one of that name in the sweep's directory.

    The sweep's directory may have been moved, and a list that comes from someone else must not
    create directories anywhere.
    """
    return run if run is None or Path(run).exists() else str(directory / Path(run).name)
