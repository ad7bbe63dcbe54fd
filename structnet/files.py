"""Files that are there whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write(path: Path, save: Callable[[Path], Any]) -> None:
    """Write a file under a temporary name, then put it in place whole."""
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        save(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
