"""The files of a run that are shared, and the checks of a folder that holds them.

Neither checkpoints nor logs are shared, and no other file of a repository is taken: nothing that
is fetched is code or a pickle.
"""

from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from structnet.run.manifest import NAME as MANIFEST
from structnet.run.manifest import Manifest
from structnet.run.plain import read_json
from structnet.run.saved import plain_config, read_metrics, saved_config
from structnet.system.memory import as_bytes

WEIGHTS, CONFIG, DESCRIPTION = "model.safetensors", "config.yaml", "config.json"
REQUIRED = (CONFIG, DESCRIPTION, WEIGHTS)
# Name -> the most bytes that are fetched of it. The weights have to fit in memory, see `pulling`.
LIMITS = {
    CONFIG: 1 << 16,
    DESCRIPTION: 1 << 28,
    WEIGHTS: 1 << 36,
    "metrics.json": 1 << 24,
    MANIFEST: 1 << 20,
    "README.md": 1 << 20,
    "curve.png": 1 << 24,
}
NAMES = tuple(LIMITS)
# Those that the manifest of a run has checksums of.
CHECKED = (DESCRIPTION, WEIGHTS, "metrics.json")


def check_size(name: str, size: int, where: str) -> None:
    """ValueError for a file that is larger than its kind may be.

    Arguments:
        name: one of `NAMES`.
        size: in bytes.
        where: what holds the file.
    """
    if size > LIMITS[name]:
        raise ValueError(
            f"{where}: {name} has {as_bytes(size)}, more than the {as_bytes(LIMITS[name])} that "
            "are taken of such a file"
        )


def check_folder(directory: Path) -> dict[str, Any]:
    """Check the files of a run in a folder, against its manifest too.

    Nothing is executed, and no component is made: a run whose plugin is missing can be checked too.
    Returns the configuration. Raises `Damaged`, another ValueError or FileNotFoundError, which name
    the file.
    """
    config = saved_config(directory)
    manifest = Manifest(directory)
    for name in CHECKED:
        if (directory / name).is_file():
            manifest.read(name)
    described = read_json(directory / DESCRIPTION)
    if not isinstance(described, dict) or not isinstance(described.get("config"), dict):
        raise ValueError(f"{directory / DESCRIPTION} does not describe a run: start the run again")
    plain_config(described["config"], directory / DESCRIPTION)
    read_metrics(directory)
    try:
        with safe_open(directory / WEIGHTS, framework="np") as weights:
            weights.keys()
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{directory / WEIGHTS} does not hold weights: {error}") from error
    return config
