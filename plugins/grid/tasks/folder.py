"""A folder of images as a task."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

import structnet as sn
from structnet.plugins.files.images import image_files, read_image
from structnet.plugins.grid.tasks.pictures import Image, PictureTask, Split, thin


@sn.tasks.register("images")
class Images(PictureTask):
    """The PNG and JPEG files below a folder, grey or coloured, of any sizes.

    A random tenth of the files each makes the validation and the test split. The folders directly
    below `root` are the classes.

    Arguments:
        root: the folder that is searched for PNG and JPEG files.
        channels: 1 for grey, 3 for coloured images.
        seed: the seed of the random splits.
    """

    monitor = measure = "bits_per_dim"

    def __init__(
        self,
        *,
        root: str | None = None,
        channels: Literal[1, 3] = 3,
        seed: int = 0,
        **options: Any,
    ):
        if seed < 0:
            raise ValueError(f"option 'seed' is at least 0, got {seed}")
        super().__init__(channels, 256, **options)
        self.root, self.seed = root, seed

    def find(self) -> list[Path]:
        return self.files

    @cached_property
    def files(self) -> list[Path]:
        return image_files(self._folder)

    @cached_property
    def classes(self) -> Sequence[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The names of the folders directly below the root."""
        for path in self.files:
            if path.parent == self._folder:
                raise ValueError(
                    f"{path} has no class: every image must be in one of the folders directly "
                    f"below {self._folder}, which are the classes"
                )
        return sorted({self._class(path) for path in self.files})

    def read_splits(self) -> dict[str, Split]:
        files = self.files
        if len(files) < 3:
            raise ValueError(
                f"{len(files)} images below {self._folder}; training, validation and test need at "
                "least one each: give task.root a folder with more"
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
        """The images, all in memory; ValueError where they take more than half of it."""
        size, most = 0, sn.total_memory() // 2
        for path in files:
            image = read_image(path, self.channels)
            size += image.nbytes
            if size > most:
                raise ValueError(
                    f"the images below {self._folder} up to {path.name} are {sn.as_bytes(size)} "
                    f"unpacked, more than half of this machine's memory: give fewer or smaller ones"
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
        """ValueError, naming the file, for image sizes that don't fit the options."""
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
