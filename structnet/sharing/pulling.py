"""Pulling a run from a hub: its files alone, bounded in size, checked, of one commit."""

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any

from structnet.run.manifest import Damaged
from structnet.sharing.files import LIMITS, NAMES, REQUIRED, WEIGHTS, check_folder, check_size
from structnet.sharing.hub import Address, client, explained, import_hub
from structnet.system.files import new_folder, write
from structnet.system.memory import as_bytes, total_memory

# The file that says where a folder came from.
RECORD = "pulled.json"


@dataclass(frozen=True)
class Pulled:
    """A run of a hub, in the cache of huggingface_hub.

    Arguments:
        address: its repository, and the hash of the commit.
        folder: holds its files.
        names: the files that were taken.
        others: the names of the repository's other files, which were not fetched.
    """

    address: Address
    folder: Path
    names: Sequence[str]
    others: Sequence[str] = field(default=())


def pulled(where: str) -> Path:
    """The folder of a run of a hub, which is fetched into huggingface_hub's cache and checked.

    Raises the errors of `pull`.

    Arguments:
        where: OWNER/NAME or OWNER/NAME@REVISION, with hub: before it or without.
    """
    return fetch(Address.parse(where)).folder


def pull(where: str, out: str | Path) -> Pulled:
    """Fetch a run from a hub into a folder that is new or empty, with a record of where it is from.

    ValueError for a repository that is not there or holds no run, for a file that is too large or
    damaged, and for a folder in use; ConnectionError where the hub does not answer. The folder is
    then not made.

    Arguments:
        where: OWNER/NAME or OWNER/NAME@REVISION.
        out: the folder.
    """
    address, target = Address.parse(where), Path(out)
    check_target(target)
    found = fetch(address)
    with new_folder(target) as temporary:
        for name in found.names:
            shutil.copyfile(found.folder / name, temporary / name)
        text = json.dumps(_record(found, address), indent=1) + "\n"
        write(temporary / RECORD, lambda path: path.write_text(text))
        check_folder(temporary)
    return found


def check_target(target: Path) -> None:
    """ValueError unless a folder is new or empty."""
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise ValueError(f"out={target} is no folder: name a folder that is new or empty")
    if target.is_dir() and any(target.iterdir()):
        raise ValueError(f"out={target} is in use: name a folder that is new or empty")


def fetch(address: Address) -> Pulled:
    """Fetch the files of a run into the cache of huggingface_hub, and check them."""
    import_hub()
    try:
        with explained(address, "pull from"):
            info = client().model_info(
                address.repository, revision=address.revision, files_metadata=True
            )
    except ConnectionError:
        if (kept := _from_cache(address)) is None:
            raise
        return kept
    pinned = Address(address.repository, info.sha)
    if address.is_pinned and info.sha != address.revision:
        raise ValueError(f"{address} was asked for, and the hub answers with commit {info.sha}")
    listed = {one.rfilename: one for one in info.siblings or ()}
    _check_listed(listed, pinned)
    names = [name for name in NAMES if name in listed]
    for name in names:
        _fetch_file(pinned, name, listed[name])
    others = sorted(listed.keys() - {*names, ".gitattributes"})
    return Pulled(pinned, _checked(pinned, _folder_of(pinned, names)), names, others)


def _check_listed(listed: dict[str, Any], address: Address) -> None:
    """ValueError for a repository that holds no run, or a file that is too large."""
    if missing := [name for name in REQUIRED if name not in listed]:
        raise ValueError(
            f"{address} holds no run of structnet: it has no {', '.join(missing)}; "
            "structnet push run=DIR to=OWNER/NAME makes such a repository"
        )
    for name in LIMITS.keys() & listed.keys():
        size = listed[name].size
        if type(size) is not int:
            raise ValueError(f"{address}: the hub does not say how large {name} is")
        check_size(name, size, str(address))
    size, memory = listed[WEIGHTS].size, total_memory()
    if size > memory:
        raise ValueError(
            f"{address}: {WEIGHTS} has {as_bytes(size)}, more than this machine's memory of "
            f"{as_bytes(memory)}"
        )


def _fetch_file(address: Address, name: str, listed: Any) -> None:
    """Fetch a file of a commit, and check its size and its checksum against those of the hub."""
    with explained(address, "pull from"):
        found = client().hf_hub_download(address.repository, name, revision=address.revision)
    path = Path(found)
    size = path.stat().st_size
    whole = size == listed.size
    if whole and listed.lfs is not None:
        whole = _digest(path, sha256()) == listed.lfs.sha256
    elif whole and listed.blob_id is not None:
        # What git calls a file of this content.
        whole = _digest(path, sha1(b"blob %d\0" % size)) == listed.blob_id
    if not whole:
        # So that it is fetched again.
        path.resolve().unlink(missing_ok=True)
        raise Damaged(f"{address}: {name} is damaged: it is not what the hub lists; pull again")


def _digest(path: Path, digest: Any) -> str:
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def _folder_of(address: Address, names: Sequence[str]) -> Path:
    """The folder of a commit in the cache."""
    hub = import_hub()
    paths = [
        hub.try_to_load_from_cache(address.repository, name, revision=address.revision)
        for name in names
    ]
    return Path(paths[0]).parent


def _from_cache(address: Address) -> Pulled | None:
    """What was pulled before of a commit that is named by its hash; None where it was not."""
    if not address.is_pinned:
        return None
    cached = import_hub().try_to_load_from_cache
    names = [
        name
        for name in NAMES
        if isinstance(cached(address.repository, name, revision=address.revision), str)
    ]
    if not {*REQUIRED} <= {*names}:
        return None
    return Pulled(address, _checked(address, _folder_of(address, names)), names)


def _checked(address: Address, folder: Path) -> Path:
    """A folder whose files are those of a run; ValueError names the repository as well."""
    try:
        check_folder(folder)
    except (ValueError, OSError) as error:
        raise ValueError(f"{address} holds no run that can be used: {error}") from error
    return folder


def _record(found: Pulled, asked: Address) -> dict[str, Any]:
    """Where a folder came from, and the checksums of its files."""
    return {
        "endpoint": import_hub().constants.ENDPOINT,
        "repository": found.address.repository,
        "revision": found.address.revision,
        "asked": str(asked),
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "sha256": {name: _digest(found.folder / name, sha256()) for name in found.names},
        "left_out": [*found.others],
    }
