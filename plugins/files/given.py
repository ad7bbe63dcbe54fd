"""Options of tasks that read a user's files: what is split, or a file for each split."""

import warnings
from collections.abc import Mapping
from glob import escape
from hashlib import file_digest
from pathlib import Path
from typing import Any, ClassVar

import structnet as sn
from structnet.plugins.files.splits import Folds


class GivenSplits(sn.Task):
    """A task whose data are files or folders of a user's.

    Arguments:
        root: the file or folder that is split.
        train: the file or folder of the training split, in place of root; splits that are not given
            are drawn from it.
        validation: that of the validation split.
        test: that of the test split.
        folds: the number of folds into which the data are divided, one of which is the test split;
            null for a test split that is given, or a tenth.
        fold: which of the folds is the test split, from 0 on.
    """

    # No others than those of the next class.
    options_of: ClassVar = {}

    def __init__(
        self,
        *,
        root: str | None = None,
        train: str | None = None,
        validation: str | None = None,
        test: str | None = None,
        folds: int | None = None,
        fold: int = 0,
        **options: Any,
    ):
        super().__init__(**options)
        self.root, self.split_paths = root, {"train": train, "validation": validation, "test": test}
        self.folds = Folds(folds, fold)

    def paths(self) -> dict[str, Path]:
        """What is given: `all`, or the path of each split; nothing where the default is read.

        ValueError for root beside files of splits, and for these without one to train on; errors
        of `check_path`.
        """
        given = {name: path for name, path in self.split_paths.items() if path is not None}
        if given and self.root is not None:
            raise ValueError(
                f"task.root and task.{next(iter(given))} are both given: take one, and leave the "
                "other out by null"
            )
        if self.root is not None:
            given = {"all": self.root}
        if given and "all" not in given and "train" not in given:
            raise ValueError(f"task.{next(iter(given))} is given without task.train=PATH")
        found = {name: Path(path).expanduser() for name, path in given.items()}
        for name, path in found.items():
            self.check_path(path, "root" if name == "all" else name)
        _warn_of_same(found)
        return found

    def place_of(self, split: str, otherwise: Any = None) -> Any:
        """The path that a split is read from, for messages; `otherwise` where none is given."""
        places = (self.split_paths.get(split), self.root, self.split_paths["train"])
        return next((place for place in places if place is not None), otherwise)

    def check_path(self, path: Path, option: str) -> None:
        """FileNotFoundError where there is nothing at the path that an option gives."""
        if not path.exists():
            raise FileNotFoundError(f"no file or folder {path} (task.{option})")

    def refuse_beside(self, option: str, value: Any) -> None:
        """ValueError for an option that stands in the place of files, beside them."""
        others = {"root": self.root, **self.split_paths}
        for name, path in others.items():
            if value is not None and path is not None:
                raise ValueError(
                    f"{name}={path} and {option}={value} are both given: take one of them"
                )


def _warn_of_same(found: Mapping[str, Path]) -> None:
    """A DataWarning for another split that is what the training split is, or a copy of it."""
    for split in ("validation", "test"):
        if not {"train", split} <= found.keys():
            continue
        train, other = found["train"], found[split]
        if train.resolve() == other.resolve():
            said = f"task.train and task.{split} are both {other}"
        elif _is_copy(train, other):
            said = f"task.train={train} and task.{split}={other} hold the same bytes"
        else:
            continue
        warnings.warn(
            f"{said}: figures are those of what was trained on, and not of new data",
            sn.DataWarning,
            stacklevel=2,
        )


def _is_copy(one: Path, other: Path) -> bool:
    """Whether two paths have the same files by size and, where these are equal, by digest."""
    first, second = _files(one), _files(other)
    sizes = [{name: file.stat().st_size for name, file in each.items()} for each in (first, second)]
    if not first or sizes[0] != sizes[1] or not any(sizes[0].values()):
        return False
    return all(_digest(first[name]) == _digest(second[name]) for name in first)


def _files(path: Path) -> dict[str, Path]:
    """The file of a path, those below a folder, or those with its name and an ending, by name."""
    if path.is_file():
        return {"": path}
    if path.is_dir():
        return {str(one.relative_to(path)): one for one in path.rglob("*") if one.is_file()}
    beside = path.parent.glob(f"{escape(path.name)}.*") if path.parent.is_dir() else ()
    return {one.name.removeprefix(path.name): one for one in beside if one.is_file()}


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return file_digest(file, "sha256").digest()
