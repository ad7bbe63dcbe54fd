"""Atomic writing of files."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

TEMPORARY = re.compile(r"\.(\d+)-.+")


def write(path: Path, save: Callable[[Path], Any]) -> None:
    """Write a file atomically: to a temporary beside it, flushed to disk, which then replaces it.

    Arguments:
        path: the file; OSError names it.
        save: writes the content to the path that it is given.
    """
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        # If the name exists, as a link to another file for example, that file is not written to.
        temporary.unlink(missing_ok=True)
        save(temporary)
        _flush(temporary)
        os.replace(temporary, path)
        _flush(path.parent)
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(IsADirectoryError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    write(path, lambda temporary: temporary.write_bytes(data))


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside a path, which is renamed to it at the end, or removed on an error.

    OSError if the path is by then anything but an empty folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir()
        yield temporary
        # A rename replaces an empty folder, and no other.
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_own_folder(path: Path) -> None:
    """ValueError if a path is a symbolic link, or exists and is not a folder."""
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        what = "a symbolic link" if path.is_symlink() else "not a folder"
        raise ValueError(f"{path} is {what}, and is to be written to: move it away or copy it")


def remove_temporaries(folder: Path) -> None:
    """Remove the temporaries in a folder that killed processes have left."""
    for path in folder.glob(".*"):
        found = TEMPORARY.fullmatch(path.name)
        if found and path.is_file() and not _is_alive(int(found[1])):
            path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    # Windows can't open folders.
    if os.name != "posix" and path.is_dir():
        return
    # Only on POSIX can a read-only descriptor be flushed.
    number = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _is_alive(process: int) -> bool:
    if os.name != "posix":
        # On Windows, os.kill would end it.
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True
