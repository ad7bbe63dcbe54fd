"""Where the data of tasks is."""

import os
from collections.abc import Sequence
from pathlib import Path


def data_folder(root: str | None, name: str, files: Sequence[str]) -> Path:
    """The folder of a task's data: `root`, or else `name` in the folder STRUCTNET_DATA names.

    FileNotFoundError if one of the `files` is not there; it says how to point to them.
    """
    given = os.environ.get("STRUCTNET_DATA")
    if root is not None:
        folder = Path(root).expanduser()
    elif given:
        folder = Path(given).expanduser() / name
    else:
        raise FileNotFoundError(
            f"no folder is given for the data {', '.join(files)}: set task.root=FOLDER, or the "
            f"environment variable STRUCTNET_DATA to the folder that holds {name}/"
        )
    missing = [file for file in files if not (folder / file).is_file()]
    if missing:
        raise FileNotFoundError(
            f"no {', '.join(missing)} in {folder}: add what is missing, or set task.root=FOLDER, "
            f"or the environment variable STRUCTNET_DATA to the folder that holds {name}/"
        )
    return folder
