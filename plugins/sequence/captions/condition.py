"""What a captioner is given: an image, and the language to write in."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


class Picture(NamedTuple):
    """A sample's condition is an image and a language, in one vector of floats.

    First come the image's values from -1 to 1, channel by channel and row by row, then a one for
    the language and zeros for the others.

    Arguments:
        channels: of the image.
        height: in pixels.
        width: in pixels.
        languages: the number of languages.
    """

    channels: int
    height: int
    width: int
    languages: int

    @property
    def size(self) -> int:
        """The length of the vector."""
        return self.channels * self.height * self.width + self.languages

    def vector(self, image: NDArray[np.uint8], language: int) -> NDArray[np.float32]:
        """The condition of an image (h, w, C) with values from 0 to 255."""
        given = np.zeros(self.size, np.float32)
        values = image.transpose(2, 0, 1).reshape(-1)
        given[: len(values)] = values / 127.5 - 1
        given[len(values) + language] = 1
        return given

    def parts(self, given: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, C, h, w) and languages (B, languages) of conditions (B, size)."""
        images, languages = given.split([self.size - self.languages, self.languages], dim=1)
        return images.view(-1, self.channels, self.height, self.width), languages
