"""The folder of what can be made again: compiled programs, and what `structnet list` shows."""

import os
import stat
from pathlib import Path

# Names the folder; nothing is kept, if it is set to nothing.
VARIABLE = "STRUCTNET_CACHE"


def folder() -> Path | None:
    """The user's own folder; None where others may write, or it can't be made."""
    named = os.environ.get(VARIABLE)
    if named == "" or not hasattr(os, "getuid"):
        return None
    try:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        place = Path(named or Path(home) / "structnet").resolve()
        for one in (*reversed(place.parents), place):
            one.mkdir(exist_ok=True, mode=0o700)
        return place if _is_own(place) else None
    # Path.home raises RuntimeError where there is none.
    except (OSError, RuntimeError):
        return None


def _is_own(place: Path) -> bool:
    """Whether nobody else can put anything into a folder, or another in its place."""
    others = stat.S_IWGRP | stat.S_IWOTH
    found = [one.stat() for one in (place, *place.parents)]
    # In a sticky folder, such as /tmp, everyone replaces only what is theirs.
    above = all(not one.st_mode & others or one.st_mode & stat.S_ISVTX for one in found[1:])
    by_us = all(one.st_uid in (0, os.getuid()) for one in found)
    return above and by_us and not found[0].st_mode & others
