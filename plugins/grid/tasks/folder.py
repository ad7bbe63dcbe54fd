"""Any folder of images."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from structnet.plugins.files.images import MODES, image_files, read_image
from structnet.plugins.grid.tasks.pictures import Image, PictureTask, Split, thin

import structnet as sn


@sn.tasks.register("images")
class Images(PictureTask):
    """The PNG and JPEG files below the folder `root`, grey or coloured, of any sizes.

    `channels` is 1 for grey, 3 for coloured images. A tenth of the files each, drawn by `seed`, are
    validation and test. The folders right below `root` are the classes, where these are asked for.
    Judged in bits per dimension; the other options are those of `PictureTask`.

    Arguments:
        root: the folder with PNG and JPEG files below it.
        channels: 1 for grey, 3 for coloured images.
        seed: the seed that validation and test are drawn by.
    """

    monitor = measure = "bits_per_dim"

    def __init__(
        self,
        *,
        root: str | None = None,
        channels: int = 3,
        seed: int = 0,
        goal: str = "pixels",
        likelihood: str | None = None,
        mixtures: int = 10,
        condition: str | None = None,
        factor: int = 2,
        size: int | None = None,
        train_size: int | None = None,
    ):
        if channels not in MODES:
            raise ValueError(f"option 'channels' is 1 (grey) or 3 (coloured), got {channels}")
        if seed < 0:
            raise ValueError(f"option 'seed' is at least 0, got {seed}")
        super().__init__(
            channels=channels,
            levels=256,
            goal=goal,
            likelihood=likelihood,
            mixtures=mixtures,
            condition=condition,
            factor=factor,
            size=size,
            train_size=train_size,
        )
        self.root, self.seed = root, seed

    def find(self) -> list[Path]:
        return self.files

    @cached_property
    def files(self) -> list[Path]:
        return image_files(self._folder)

    @cached_property
    def classes(self) -> Sequence[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The names of the folders right below the root."""
        for path in self.files:
            if path.parent == self._folder:
                raise ValueError(
                    f"{path} is of no class: classes are the folders right below {self._folder}, "
                    "and every image is in one of them"
                )
        return sorted({self._class(path) for path in self.files})

    def read_splits(self) -> dict[str, Split]:
        files = self.files
        if len(files) < 3:
            raise ValueError(
                f"{len(files)} images below {self._folder}; training, validation and test take one "
                "at least each: give task.root a folder with more"
            )
        images = list(self._read(files))
        self._refuse_sizes(images)
        labels = [0] * len(files)
        if self.goal == "class" or self.given == "class":
            labels = [self._label(path) for path in files]
        order = np.random.default_rng(self.seed).permutation(len(files))
        tenth = max(1, len(files) // 10)
        parts = np.split(order, [tenth, 2 * tenth])
        return {
            name: Split([images[i] for i in sorted(part)], [labels[i] for i in sorted(part)])
            for name, part in zip(("test", "validation", "train"), parts, strict=True)
        }

    def _read(self, files: Sequence[Path]) -> Iterator[Image]:
        """The images, which are all kept; ValueError where they are too many for this machine."""
        size, most = 0, sn.total_memory() // 2
        for path in files:
            image = read_image(path, self.channels)
            size += image.nbytes
            if size > most:
                raise ValueError(
                    f"the images below {self._folder} up to {path.name} are {sn.as_bytes(size)} "
                    f"unpacked, more than half of this machine's memory: give smaller ones, or "
                    "fewer"
                )
            yield image

    @property
    def _folder(self) -> Path:
        if self.root is None:
            raise FileNotFoundError(
                "task 'images' reads a folder of your own: set task.root=FOLDER"
            )
        return Path(self.root).expanduser()

    def _label(self, path: Path) -> int:
        name = self._class(path)
        if name not in self.classes:
            raise ValueError(
                f"{path}: {name!r} is none of the classes {list(self.classes)} that the net knows"
            )
        return list(self.classes).index(name)

    def _class(self, path: Path) -> str:
        return path.relative_to(self._folder).parts[0]

    def _refuse_sizes(self, images: list[Image]) -> None:
        """ValueError, naming the file, for sizes that the options don't go with."""
        first = images[0].shape[:2]
        for path, image in zip(self.files, images, strict=True):
            if self.given == "small" and image.shape[:2] != first:
                raise ValueError(
                    f"{path} is of {image.shape[0]} x {image.shape[1]} pixels, {self.files[0]} of "
                    f"{first[0]} x {first[1]}: task.condition=small takes images of one size"
                )
            try:
                if self.size is not None:
                    image = thin(image, "size", self.size)
                if self.given == "small":
                    thin(image, "factor", self.factor)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from error
