"""Which lines of files differ from a revision of git."""

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

# Nothing that a repository is configured to run is run.
SAFE = ("--no-ext-diff", "--no-textconv")
_HUNK = re.compile(rb"^@@ -[\d,]+ \+(\d+)(?:,(\d+))? @@", re.MULTILINE)


class Changes:
    """The lines of files at or below a path that differ from a revision, and files new to git.

    Arguments:
        path: a file or folder in a working tree of git.
        revision: a commit, branch or tag, such as HEAD or main.
    """

    def __init__(self, path: Path, revision: str):
        """ValueError without git, outside of a working tree, and for an unknown revision."""
        # What a user wrote may begin with a dash.
        if revision.startswith("-"):
            raise ValueError(f"changed={revision} is not a revision of git")
        place = path.resolve()
        self._folder = place if place.is_dir() else place.parent
        self._top = Path(os.fsdecode(self._git("rev-parse", "--show-toplevel").rstrip(b"\n")))
        self._revision = f"{revision}^{{commit}}"
        self._git("rev-parse", "--verify", "--quiet", self._revision, of=revision)
        names = (
            "diff",
            *SAFE,
            "--name-only",
            "--no-renames",
            "-z",
            self._revision,
            "--",
            str(place),
        )
        self._changed = self._files(self._git(*names))
        others = ("ls-files", "--others", "--exclude-standard", "--full-name", "-z")
        self._new = self._files(self._git(*others, "--", str(place)))
        self._ranges: dict[Path, Sequence[range]] = {}

    def touches(self, path: Path, first: int, last: int) -> bool:
        """Whether one of the lines of a file, from the first to the last, differs."""
        place = path.resolve()
        if place not in self._changed:
            return place in self._new
        if place not in self._ranges:
            self._ranges[place] = self._lines(place)
        return any(one.start <= last and first < one.stop for one in self._ranges[place])

    def _lines(self, path: Path) -> Sequence[range]:
        options = ("--unified=0", "--no-color", "--no-renames")
        found = self._git("diff", *SAFE, *options, self._revision, "--", str(path))
        hunks = [(int(start), int(count or 1)) for start, count in _HUNK.findall(found)]
        return [range(start, start + count) for start, count in hunks]

    def _files(self, names: bytes) -> set[Path]:
        found = os.fsdecode(names).split("\0")
        return {(self._top / name).resolve() for name in found if name}

    def _git(self, *words: str, of: str = "") -> bytes:
        command = ["git", "-c", "core.fsmonitor=false", "-C", str(self._folder), *words]
        try:
            return subprocess.run(command, check=True, capture_output=True).stdout
        except FileNotFoundError as error:
            raise ValueError("changed= compares with git, which is not installed") from error
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode(errors="replace").strip().splitlines()
            why = f"no revision {of!r}" if of else said[0] if said else "git failed"
            raise ValueError(f"changed= compares with git: {why} in {self._folder}") from error
