"""Directories of runs, comparisons and sweeps: new ones, and whether one is in use."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from structnet import registry
from structnet.registry.option_types import home
from structnet.run.manifest import BEST, LAST, PREVIOUS
from structnet.system.files import TEMPORARY, check_own_folder, remove_temporaries
from structnet.system.words import command_line

if TYPE_CHECKING:
    from structnet.run.components import Config

RUNS = Path("runs")
LOCK = ".lock"
# What a run prints that is trained beside others of its sweep.
OUTPUT = "output.log"
# Folders of a run's directory that training writes to.
FOLDERS = ("checkpoints", "logs", "samples", "tensorboard", "wandb")


def check_directory(config: "Config") -> None:
    """ValueError if the directory that a configuration names is in use or can't be made."""
    if config.get("run") is None:
        return
    directory, advice = Path(home(config["run"])), "name a directory that is new or empty"
    for path in (directory, *directory.parents):
        if path.exists() and not path.is_dir():
            raise ValueError(f"run={directory}: {path} is a file; {advice}")
    if not directory.exists() or _is_free(directory):
        return
    if (directory / "config.yaml").is_file():
        raise ValueError(
            f"run={directory} is in use; name another directory, "
            f"or go on with: {command_line('train', f'resume={directory}')}"
        )
    raise ValueError(
        f"run={directory} is in use for other files; {advice}, as in run={directory / 'first'}"
    )


def directory_for(config: "Config") -> Path:
    """The directory that a configuration names, or a new one below `RUNS`, which is created.

    ValueError if the directory that it names is in use.
    """
    if config.get("run") is not None:
        check_directory(config)
        return Path(home(config["run"]))
    return new_directory("-".join((config["task"]["name"], *part_names(config))))


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Create and lock a run's directory; afterwards remove it if it is empty.

    What training made in it is removed as well if it is empty: it failed before its first step.

    ValueError if another process holds the lock, or if a folder in it links to elsewhere.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for name in FOLDERS:
        check_own_folder(directory / name)
    lock = FileLock(directory / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(
            f"another process is training in {directory}; wait for it, or name another directory "
            "with run=DIR"
        ) from None
    except OSError as error:
        reason = f"{error.strerror}; remove it"
        raise OSError(f"cannot lock {lock.lock_file}: {reason}") from error
    before = set(_folders(directory))
    try:
        for folder in (directory, directory / "checkpoints"):
            remove_temporaries(folder)
        yield
    finally:
        for folder in _folders(directory):
            if folder not in before:
                _remove(folder)
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()
        remove_empty(directory)


def _folders(directory: Path) -> Iterator[Path]:
    """The folders of a run's directory, those within others first."""
    for name in FOLDERS:
        for folder, _, _ in os.walk(directory / name, topdown=False):
            yield Path(folder)


def is_locked(directory: Path) -> bool:
    """Whether a process holds the lock of a run's directory; nothing is written.

    Where the system can't tell, as on Windows, a lock that is there counts as held.
    """
    path = directory / LOCK
    if path.is_symlink() or not path.is_file():
        return False
    try:
        import fcntl

        with path.open("rb") as file:
            # A shared lock is refused while another process has it for itself.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except (ImportError, OSError):
        return True
    return False


def can_resume(directory: Path) -> bool:
    """Whether a run's directory holds a checkpoint, which may be damaged."""
    return any((directory / name).is_file() for name in (LAST, PREVIOUS, BEST))


def part_names(config: "Config") -> list[str]:
    """The names of the net's topology and cell, or of the net itself if it has no recurrence."""
    name = config["net"]["name"]
    recurrent = getattr(registry.nets[name], "is_recurrent", True)
    return [config[group]["name"] for group in ("topology", "cell")] if recurrent else [name]


def _is_free(directory: Path) -> bool:
    """Whether a directory is empty, or holds a run that ended within its first epoch.

    Such a run has no checkpoint and can't be resumed.
    """
    if not directory.is_dir():
        return False
    files = {"config.yaml", "config.json", "manifest.json", "mlflow.db"}
    begun = files | {*FOLDERS} - {"samples"}
    names, kept = (
        {path.name for path in folder.glob("*") if not TEMPORARY.fullmatch(path.name)}
        for folder in (directory, directory / "checkpoints")
    )
    # What an epoch leaves before its checkpoint; else such a folder may be the user's own.
    shown = {"samples", "diagnose.json"} if "config.yaml" in names else set()
    return names <= {*begun, *shown, LOCK, OUTPUT} and not kept


def remove_empty(directory: Path) -> None:
    """Remove a directory if it is empty, and `RUNS` above it if that is."""
    _remove(directory)
    if directory.parent == RUNS and not directory.exists():
        _remove(RUNS)


def _remove(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def new_directory(name: str, below: Path = RUNS) -> Path:
    """Create a directory below another, named by the time and `name`."""
    stamp = f"{time.strftime('%Y-%m-%d_%H-%M-%S')}_{name}"
    directory, count = below / stamp, 1
    while True:
        try:
            directory.mkdir(parents=True)
            return directory
        except FileExistsError:
            count += 1
            directory = below / f"{stamp}-{count}"
