"""Files that are there whole or not at all."""

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

TEMPORARY = re.compile(r"\.(\d+)-.+")


def write(path: Path, save: Callable[[Path], Any]) -> None:
    """Write a file under a temporary name, then put it in place whole.

    It is on the disk, not only on its way there, before it takes the place of the one before.
    OSError names the file.
    """
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        # Whatever has the name, a link to elsewhere for example, is not written to.
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


def check_own_folder(path: Path) -> None:
    """ValueError for a link, which leads elsewhere, and for what is there and is no folder."""
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        what = "a link to elsewhere" if path.is_symlink() else "no folder"
        raise ValueError(
            f"{path} is {what}, and is written to; move it away, or copy what it holds"
        )


def remove_temporaries(folder: Path) -> None:
    """Remove what processes that were killed while they wrote have left in a folder."""
    for path in folder.glob(".*"):
        found = TEMPORARY.fullmatch(path.name)
        if found and path.is_file() and not _is_alive(int(found[1])):
            path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    # Windows opens no folders.
    if os.name != "posix" and path.is_dir():
        return
    # Descriptors that are only read from can be flushed nowhere but on POSIX.
    number = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _is_alive(process: int) -> bool:
    if os.name != "posix":
        # There, asking by a signal ends it.
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True
