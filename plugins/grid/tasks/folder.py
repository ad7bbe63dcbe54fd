"""A folder of images as a task."""

import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

import structnet as sn
from structnet.plugins.files.given import GivenSplits
from structnet.plugins.files.images import read_image
from structnet.plugins.files.labelled import Labelled, labelled_images
from structnet.plugins.files.splits import deal, to_draw
from structnet.plugins.grid.tasks.pictures import Image, PictureTask, Split
from structnet.plugins.grid.tasks.reducing import patched, thin

# Of a channel of 8 bits.
LEVELS = 256


@sn.tasks.register("images")
class Images(GivenSplits, PictureTask):
    """The PNG and JPEG files below a folder, grey or coloured, of any sizes.

    The folders directly below `root` are the classes, and a random tenth of the files each makes
    the validation and the test split. Folders train, validation and test are the splits, with the
    classes below them; of those that are missing, each is a random tenth of train. A table
    labels.csv in `root`, of columns file, label and, if splits are given, split, tells both in
    place of folders.

    With likelihood=bernoulli images are black and white: all values of a channel are 0 or 255.

    Arguments:
        root: the folder that is searched for PNG and JPEG files.
        channels: 1 for grey, 3 for coloured images.
        seed: the seed of the random splits.
    """

    monitor = measure = "bits_per_dim"

    def __init__(
        self,
        *,
        channels: Literal[1, 3] = 3,
        seed: int = 0,
        **options: Any,
    ):
        if seed < 0:
            raise ValueError(f"option 'seed' is at least 0, got {seed}")
        levels = 2 if options.get("likelihood") == "bernoulli" else LEVELS
        super().__init__(channels=channels, levels=levels, **options)
        self.seed = seed

    def find(self) -> list[Path]:
        return self.files

    @cached_property
    def items(self) -> list[Labelled]:
        given = self.paths()
        if not given:
            raise FileNotFoundError(
                "task 'images' reads a folder of your own: set task.root=FOLDER"
            )
        if "all" in given:
            return labelled_images(given["all"])
        return [
            one._replace(split=split)
            for split, folder in given.items()
            for one in labelled_images(folder)
        ]

    @property
    def files(self) -> list[Path]:
        return [one.path for one in self.items]

    @cached_property
    def classes(self) -> Sequence[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The labels of the table, or the names of the folders that are the classes."""
        return sorted({self._class(one) for one in self.items})

    def read_splits(self) -> dict[str, Split]:
        if len(self.items) < 3:
            raise ValueError(
                f"{len(self.items)} images below {self._folder}; training, validation and test "
                "need at least one each: give more"
            )
        parts = self._parts()
        images = list(self._read(self.files))
        self._refuse_sizes(images)
        self._tell_of_two_levels(images)
        labels = [0] * len(images)
        if self.goal == "class" or self.given == "class":
            labels = [self._label(one) for one in self.items]
        return {
            name: Split([images[i] for i in sorted(part)], [labels[i] for i in sorted(part)])
            for name, part in parts.items()
        }

    def _parts(self) -> dict[str, list[int]]:
        """The places of every split's images: those given, or drawn from the others."""
        of: dict[str, list[int]] = {}
        for place, one in enumerate(self.items):
            of.setdefault(one.split or "all", []).append(place)
        if "all" not in of and "train" not in of:
            raise ValueError(
                f"{self._folder} gives splits, and has no images of train: add some, or give no "
                "splits"
            )
        rest, missing = to_draw(of, self.folds)
        order = np.random.default_rng(self.seed).permutation(rest).tolist()
        try:
            return of | deal(order, missing, self.folds, "images")
        except ValueError as error:
            raise ValueError(f"below {self._folder} there are {error}: give more") from error

    def _read(self, files: Sequence[Path]) -> Iterator[Image]:
        """The images, all in memory; ValueError where they take more than half of it."""
        size, most = 0, sn.total_memory() // 2
        for path in files:
            image = self._levelled(path, read_image(path, self.channels))
            if self.averaged:
                image = self._thinned(image)
            size += image.nbytes
            if size > most:
                raise ValueError(
                    f"the images below {self._folder} up to {path.name} are {sn.as_bytes(size)} "
                    f"unpacked, more than half of this machine's memory: give fewer or smaller ones"
                )
            yield image

    @property
    def _folder(self) -> Path:
        """The folder that is split, or that of the training split, for messages."""
        return Path(self.place_of("all")).expanduser()

    def _levelled(self, path: Path, image: Image) -> Image:
        """An image of bytes in the levels of the task."""
        if self.levels == LEVELS:
            return image
        other = image[(image != 0) & (image != LEVELS - 1)]
        if other.size:
            raise ValueError(
                f"{path} has the value {other[0]}: task.likelihood=bernoulli takes images of 0 and "
                f"{LEVELS - 1} alone; leave it out, or remove the image"
            )
        return image // (LEVELS - 1)

    def _tell_of_two_levels(self, images: Sequence[Image]) -> None:
        """Warn where pixels of black and white images are predicted among 256 levels."""
        if self.goal != "pixels" or self.levels == 2:
            return
        ends = (0, LEVELS - 1)
        if all(np.isin(image, ends).all() for image in images) and any(map(np.any, images)):
            warnings.warn(
                f"all images below {self._folder} are black and white: task.likelihood=bernoulli "
                "predicts two levels in place of 256",
                sn.DataWarning,
                stacklevel=2,
            )

    def _label(self, one: Labelled) -> int:
        name = self._class(one)
        if name not in self.classes:
            raise ValueError(
                f"{one.path}: {name!r} is none of the classes {list(self.classes)} that the net "
                "knows"
            )
        return list(self.classes).index(name)

    def _class(self, one: Labelled) -> str:
        if one.label is None:
            raise ValueError(
                f"{one.path} has no class: every image must be in one of the folders directly "
                f"below {self._folder}, or its folders train, validation and test, which are the "
                "classes, or have a label in labels.csv"
            )
        return one.label

    def _refuse_sizes(self, images: list[Image]) -> None:
        """ValueError, naming the file, for image sizes that don't fit the options."""
        first = images[0].shape[:2]
        for path, image in zip(self.files, images, strict=True):
            if self.given == "small" and image.shape[:2] != first:
                raise ValueError(
                    f"{path} is of {image.shape[0]} x {image.shape[1]} pixels, {self.files[0]} of "
                    f"{first[0]} x {first[1]}: task.condition=small takes images of one size"
                )
            try:
                image = self._thinned(image)
                if self.given == "small":
                    thin(image, "factor", self.factor)
                if self.patch is not None:
                    patched(image, self.patch)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from error
