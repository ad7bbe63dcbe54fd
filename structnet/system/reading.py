"""Reading untrusted files: regular files only, and no more than fits in memory.

Reading a pipe, a socket or a device could block or never end. Archives are rejected by the size
that they state, gzip files are unpacked up to a limit.
"""

import gzip
import stat
import zipfile
import zlib
from pathlib import Path

from structnet.system.memory import as_bytes, total_memory

# The most bytes that a compressed file may unpack to.
UNPACKED = 1 << 30


def check_file(path: Path) -> int:
    """The size of a file in bytes.

    FileNotFoundError if it does not exist; ValueError if it is not a regular file, or larger than
    the machine's memory.
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
            f"{path} has {as_bytes(found.st_size)}, more than this machine's memory of "
            f"{as_bytes(total_memory())}: use a part of it"
        )
    return found.st_size


def read_bytes(path: Path, count: int | None = None) -> bytes:
    """The bytes of a file, unpacked if its name ends in .gz; the first `count`, or all.

    Raises the errors of `check_file`, and ValueError if a gzip file is damaged or unpacks to more
    than `UNPACKED` bytes.
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
            f"{path} is not a complete gzip file ({error}); get it again, or unpack it"
        ) from error
    except OSError as error:
        # Errors of reading, unlike those of opening, don't name the file.
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
    """The text of a file in UTF-8, unpacked if its name ends in .gz; a byte order mark is dropped.

    Raises the errors of `read_bytes`, and ValueError for other encodings, with the byte's offset
    and line.
    """
    try:
        # Spreadsheet programs write a byte order mark.
        return read_bytes(path).decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        byte, line = error.object[error.start], error.object.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path} is not text in UTF-8: byte 0x{byte:02x} at offset {error.start}, line {line} ("
            f"{error.reason}); save it in UTF-8"
        ) from error


def check_archive(path: Path) -> None:
    """ValueError for a zip file (.npz, .pt) that unpacks to more than `UNPACKED` bytes.

    Raises the errors of `check_file` too.
    """
    size = check_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, EOFError, UnicodeDecodeError, NotImplementedError) as error:
        raise ValueError(f"{path} is not a valid {path.suffix} file: {error}") from error
    # Members that are stored uncompressed take no more than on disk.
    if unpacked > max(UNPACKED, size):
        raise ValueError(
            f"{path}, {as_bytes(size)}, unpacks to {as_bytes(unpacked)}, more than "
            f"{as_bytes(UNPACKED)}; if you trust it, save it unpacked (numpy.savez)"
        )
