"""SHA-256 checksums of a run's files, in DIR/manifest.json."""

import json
import os
import warnings
from hashlib import sha256
from pathlib import Path

from structnet import DataWarning
from structnet.system.files import write_bytes
from structnet.system.reading import check_file, read_bytes

NAME = "manifest.json"
# The checkpoints, of which the last but one is there during training only.
LAST, PREVIOUS, BEST = (f"checkpoints/{name}.ckpt" for name in ("last", "previous", "best"))
# The largest manifest in bytes: room for thousands of checksums.
LARGEST = 1 << 20
# File name -> its possible checksums.
Sums = dict[str, list[str]]


class Damaged(ValueError):
    """A file of a run that differs from what was written."""


class Manifest:
    """Writes files of a directory with their checksums, and checks them when they are read.

    The checksum is saved before the file: if the process is killed in between, the old file is
    there, so that a name may have the checksums of several contents. A file without a checksum, as
    in runs of older versions, is read unchecked.
    """

    def __init__(self, directory: Path):
        self.directory = directory
        self._written: Sums = {}

    def write(self, name: str, data: bytes | memoryview, before: str | None = None) -> None:
        """Write a file with its checksum.

        Arguments:
            name: the file, relative to the directory.
            data: its contents.
            before: the name under which the file that is replaced is kept, if given.
        """
        path, sums = self.directory / name, self._sums()
        path.parent.mkdir(parents=True, exist_ok=True)
        digest, known = sha256(data).hexdigest(), self._known(name, sums)
        keep = before is not None and path.is_file()
        if before is not None and keep:
            sums[before] = [*known, *self._known(before, sums)]
        sums[name] = [digest, *known]
        self._save(sums)
        if before is not None and keep:
            _keep(path, self.directory / before)
            self._written[before] = known
        write_bytes(path, data)
        self._written[name] = [digest]

    def read(self, name: str) -> bytes:
        """The bytes of a file; raises `Damaged` if they are not what was written."""
        path = self.directory / name
        data = read_bytes(path)
        known = self._sums().get(name)
        if known is not None and sha256(data).hexdigest() not in known:
            raise Damaged(f"{path} is damaged: it is not what was written (SHA-256)")
        return data

    def remove(self, name: str) -> None:
        sums = self._sums()
        (self.directory / name).unlink(missing_ok=True)
        if sums.pop(name, None) is not None:
            self._save(sums)

    def _known(self, name: str, sums: Sums) -> list[str]:
        """The checksums of what the file may hold: one, unless a process was killed writing it."""
        known = self._written.get(name) or sums.get(name)
        path = self.directory / name
        if known is None and path.is_file():
            return [sha256(path.read_bytes()).hexdigest()]
        return known or []

    def _sums(self) -> Sums:
        path = self.directory / NAME
        if not path.is_file():
            return {}
        try:
            if check_file(path) > LARGEST:
                raise ValueError("it is too large")
            saved = json.loads(read_bytes(path))
            sums, own = saved["sha256"], saved["own"]
            whole = own == _own(sums) and all(isinstance(some, list) for some in sums.values())
        except (AttributeError, ValueError, TypeError, KeyError, RecursionError):
            whole = False
        if not whole:
            warnings.warn(
                f"{path} is damaged: the files of the run are read unchecked",
                DataWarning,
                stacklevel=2,
            )
            return {}
        return sums

    def _save(self, sums: Sums) -> None:
        text = json.dumps({"sha256": sums, "own": _own(sums)}, indent=1) + "\n"
        write_bytes(self.directory / NAME, text.encode())


def _own(sums: Sums) -> str:
    return sha256(json.dumps(sums, sort_keys=True).encode()).hexdigest()


def _keep(path: Path, name: Path) -> None:
    """Give a file a second name; where the file system has no links, rename it."""
    temporary = name.with_name(f".{os.getpid()}-{name.name}")
    try:
        os.link(path, temporary)
        os.replace(temporary, name)
    except OSError:
        temporary.unlink(missing_ok=True)
        os.replace(path, name)
