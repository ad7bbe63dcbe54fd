"""The segments of a scene for people: as lines of text, a picture, and plain data."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.scenes.files import CLASSES, COLOURS
from structnet.plugins.scenes.regions import centres, mean_colours, shares

Ints = NDArray[np.int64]
# Of a picture of a scene: its height and width in pixels, and its width and height in inches.
DETAIL, SIZE = (180, 240), (2.6, 2.0)
# The names of its thirds, down and across.
NAMES = ("top", "middle", "bottom"), ("left", "centre", "right")
UNKNOWN = (255, 255, 255)


@dataclass(frozen=True)
class Scene:
    """The segments that were found in a scene, or were given.

    Arguments:
        x: the features of superpixels (n, D).
        segment: the number of each superpixel's segment (n,), from 0 on.
        classes: of the segments (S,), `sn.IGNORE` where not known.
        probabilities: of these classes (S,); None for segments that were given.
        given: the classes of the superpixels (n,), `sn.IGNORE` where not known.
        merges: how many merges are right, and how many there are; None where nothing is known.
    """

    x: NDArray[np.float32]
    segment: Ints
    classes: Ints
    probabilities: NDArray[np.float64] | None
    given: Ints
    merges: tuple[int, int] | None

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """The share of the image that each segment has (S,)."""
        return np.bincount(self.segment, shares(self.x), len(self.classes)).astype(np.float64)

    @cached_property
    def order(self) -> list[int]:
        """The segments, the largest first."""
        return np.argsort(-self.shares, kind="stable").tolist()

    @property
    def verdict(self) -> str:
        """How many superpixels have their class, and how many merges are right."""
        known = self.given != sn.IGNORE
        if self.merges is None or not known.any():
            return ""
        right = int((self.classes[self.segment] == self.given)[known].sum())
        said = f"{right} of {int(known.sum())} superpixels right"
        return f"{said}, {self.merges[0]} of {self.merges[1]} merges"

    @property
    def answer(self) -> str:
        """The classes with their shares of the image, the largest first."""
        known = self.classes != sn.IGNORE
        total = np.bincount(self.classes[known], self.shares[known], len(CLASSES))
        best = [one for one in np.argsort(-total, kind="stable").tolist() if total[one] > 0]
        return ", ".join(f"{CLASSES[one]} {100 * total[one]:.0f} %" for one in best)

    def text(self) -> Any:
        """A line for every segment: its class, probability, share of the image, and place."""
        from rich.text import Text

        wide, lines = max(map(len, CLASSES)), [Text(self.answer)]
        for one in self.order:
            name, colour = _look(int(self.classes[one]))
            line = Text(" ").append("■ ", "rgb({},{},{})".format(*colour)).append(f"{name:<{wide}}")
            if self.probabilities is not None:
                line.append(f" {self.probabilities[one]:.2f}")
            lines.append(line.append(f" {100 * self.shares[one]:5.1f} %  {self._place(one)}"))
        return Text("\n").join([*lines, *filter(None, [Text(self.verdict)])])

    def figure(self, title: str) -> Any:
        """The scene in the colours of its superpixels, the found segments, and the given ones.

        A pixel has the superpixel whose centre is nearest, as features do not say their shapes.
        """
        # Imported here: matplotlib takes a second.
        from matplotlib.figure import Figure

        owner = _nearest(centres(self.x))
        panels = [("superpixels", mean_colours(self.x))]
        if self.probabilities is not None:
            panels.append(("segments", _colours(self.classes)[self.segment]))
        if (self.given != sn.IGNORE).any():
            panels.append(("given", _colours(self.given)))
        wide, high = SIZE
        made = Figure(figsize=(wide * len(panels), high + 1), layout="constrained")
        axes = made.subplots(1, len(panels), squeeze=False)[0]
        lines = _borders(self.segment[owner])
        for axis, (name, colours) in zip(axes, panels, strict=True):
            picture = np.array(colours, np.uint8)[owner]
            if name != "given":
                picture[lines] = 0 if name == "segments" else 255
            axis.imshow(picture, interpolation="nearest")
            axis.set_title(name, fontsize=9)
            axis.set_axis_off()
        heading = "; ".join(filter(None, [title, self.verdict]))
        made.suptitle(heading, fontsize=10, parse_math=False)
        self._add_legend(made)
        return made

    def as_dict(self) -> dict[str, Any]:
        segments = []
        for one in self.order:
            row, column = self._centre(one)
            said: dict[str, Any] = {"class": _look(int(self.classes[one]))[0]}
            if self.probabilities is not None:
                said["class_probability"] = round(float(self.probabilities[one]), 6)
            said |= {"share": round(float(self.shares[one]), 6), "row": round(row, 4)}
            nodes = np.flatnonzero(self.segment == one).tolist()
            segments.append({**said, "column": round(column, 4), "superpixels": nodes})
        return {"segments": segments}

    def _centre(self, segment: int) -> tuple[float, float]:
        """The row and column of a segment's centre, from -1 to 1."""
        inside = self.segment == segment
        row, column = np.average(centres(self.x)[inside], axis=0, weights=shares(self.x)[inside])
        return float(row), float(column)

    def _place(self, segment: int) -> str:
        thirds = [min(2, int((one + 1) * 1.5)) for one in self._centre(segment)]
        said = [names[one] for names, one in zip(NAMES, thirds, strict=True)]
        return " ".join(said)

    def _add_legend(self, made: Any) -> None:
        from matplotlib.patches import Patch

        there = sorted({*self.classes.tolist(), *self.given.tolist()} - {sn.IGNORE})
        looks = [_look(one) for one in there]
        patches = [
            Patch(facecolor="#{:02x}{:02x}{:02x}".format(*colour), label=name)
            for name, colour in looks
        ]
        made.legend(handles=patches, loc="outside lower center", ncols=6, fontsize=8, frameon=False)


def _look(label: int) -> tuple[str, tuple[int, int, int]]:
    """The name and the colour of a class."""
    return ("unknown", UNKNOWN) if label == sn.IGNORE else (CLASSES[label], COLOURS[label])


def _colours(classes: Ints) -> NDArray[np.float64]:
    """The colours (n, 3) of classes (n,), from 0 to 255."""
    return np.array([_look(one)[1] for one in classes.tolist()], np.float64)


def _nearest(places: NDArray[np.float32]) -> Ints:
    """The number of the nearest of some places (n, 2) for every pixel of a picture."""
    from scipy.spatial import KDTree

    axes = [np.linspace(-1, 1, side) for side in DETAIL]
    # A picture is wider than it is high.
    scale = np.array(DETAIL)
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    return np.asarray(KDTree(places * scale).query(grid * scale)[1], np.int64)


def _borders(segment: Ints) -> NDArray[np.bool_]:
    """The pixels of a picture whose right or lower neighbour is of another segment."""
    found = np.zeros(segment.shape, bool)
    found[:, :-1] = segment[:, :-1] != segment[:, 1:]
    found[:-1] |= segment[:-1] != segment[1:]
    return found
