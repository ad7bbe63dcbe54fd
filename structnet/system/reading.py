"""Reading untrusted files: regular files only, and only as much as fits in memory.

A pipe, a socket or a device under a file's name would be waited for, or would never end. What is
packed says how large it is before it is unpacked, or is unpacked up to a bound.
"""

import gzip
import stat
import zipfile
import zlib
from pathlib import Path

from structnet.system.memory import as_bytes, total_memory

# The largest size, in bytes, that a compressed file may unpack to.
UNPACKED = 1 << 30


def check_file(path: Path) -> int:
    """The size of a file in bytes.

    FileNotFoundError if nothing is there; ValueError for what is no file, and for one that is
    larger than the machine's memory.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        raise FileNotFoundError(f"no file {path}") from None
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe, a socket or a device"
        raise ValueError(f"no file {path}: it is {what}")
    if found.st_size > total_memory():
        raise ValueError(
            f"{path} is of {as_bytes(found.st_size)}, this machine's memory of "
            f"{as_bytes(total_memory())}: give a part of it"
        )
    return found.st_size


def read_bytes(path: Path, count: int | None = None) -> bytes:
    """The first `count` bytes of a file, or all, unpacked if its name ends in .gz.

    The errors of `check_file`; ValueError as well for a damaged gzip file, and for one that unpacks
    to more than `UNPACKED` bytes.
    """
    size = check_file(path)
    try:
        if path.suffix != ".gz":
            with path.open("rb") as file:
                return file.read(size if count is None else min(count, size))
        with gzip.open(path) as file:
            data = file.read(UNPACKED + 1 if count is None else min(count, UNPACKED + 1))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path} is no whole gzip file ({error}); get it again, or unpack it"
        ) from error
    except OSError as error:
        # Only opening a file names it.
        raise type(error)(error.errno, error.strerror, str(path)) from error
    except MemoryError:
        raise MemoryError(f"out of memory reading {path}, {as_bytes(size)} on disk") from None
    if len(data) > UNPACKED:
        raise ValueError(
            f"{path}, {as_bytes(size)}, unpacks to more than {as_bytes(UNPACKED)}; if you trust "
            f"it, unpack it yourself: gunzip {path}"
        )
    return data


def read_text(path: Path) -> str:
    """A text file in UTF-8, without a byte order mark, unpacked if its name ends in .gz.

    The errors of `read_bytes`; ValueError for other encodings.
    """
    try:
        # Spreadsheets begin a file with a mark that is no part of its first word.
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8: {error}") from error


def check_archive(path: Path) -> None:
    """ValueError, naming it, for a zip file (.npz, .pt) that unpacks to more than `UNPACKED`."""
    size = check_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, EOFError, UnicodeDecodeError, NotImplementedError) as error:
        raise ValueError(f"{path} is no {path.suffix} file that can be read: {error}") from error
    # What lies in it as it is takes no more than on disk.
    if unpacked > max(UNPACKED, size):
        raise ValueError(
            f"{path}, {as_bytes(size)}, unpacks to {as_bytes(unpacked)}, more than "
            f"{as_bytes(UNPACKED)}; if you trust it, save it unpacked (numpy.savez)"
        )
