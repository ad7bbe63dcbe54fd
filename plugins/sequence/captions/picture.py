"""A picture of images with the captions that a net has written below them."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# Characters of a line below an image.
WIDTH = 18
# The most images side by side.
COLUMNS = 8


@dataclass(frozen=True, eq=False)
class Shown:
    """An image (h, w, C), what was written about it, and the true caption, None if not known."""

    image: NDArray[np.uint8]
    language: str
    text: str
    true: str | None = None


class Sheet:
    """Images with captions: wrong ones are red, with the true one below."""

    def __init__(self, shown: Sequence[Shown]):
        self.shown = shown

    def save(self, path: Path) -> None:
        """Write the picture to a PNG file."""
        # Imported here: matplotlib takes a second.
        from matplotlib.figure import Figure

        columns = min(COLUMNS, len(self.shown))
        rows = -(-len(self.shown) // columns)
        figure = Figure(figsize=(1.5 * columns, 2.0 * rows), layout="constrained")
        places = figure.subplots(rows, columns, squeeze=False).flatten()
        for axes in places:
            axes.set_axis_off()
        for axes, one in zip(places, self.shown, strict=False):
            image = one.image[..., 0] if one.image.shape[2] == 1 else one.image
            axes.imshow(image, cmap="gray", vmin=0, vmax=255)
            wrong = one.true is not None and one.true != one.text
            lines = [*textwrap.wrap(one.text or "(nothing)", WIDTH)]
            if wrong:
                lines += textwrap.wrap(f"not {one.true}", WIDTH)
            axes.set_title(one.language, fontsize=7, color="gray", pad=3)
            colour = "crimson" if wrong else "black"
            where = {"transform": axes.transAxes, "ha": "center", "va": "top"}
            text = "\n".join(lines)
            axes.text(0.5, -0.05, text, fontsize=10, color=colour, parse_math=False, **where)
        figure.savefig(path, format="png", dpi=120)
