"""A tree with classes as a picture: words at the leaves, a coloured mark at every node."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from structnet.plugins.tree.class_tree import ClassTree, is_dark
from structnet.plugins.treebanks.tree import LabelledTree

# More can't be told apart by eye, and take long to draw.
MOST_NODES = 1000
# In inches: the diameter of a mark, that of a given class beside it, levels, between words, around.
MARK, SMALL, LEVEL, GAP, MARGIN = 0.25, 0.16, 0.42, 0.12, 0.2
# In inches: from the root up to the top, and to the legend; from a mark down to its word.
ABOVE, LEGEND, BELOW = 0.95, 0.46, 0.27
POINTS, FONT, HEADING, SMALLER, LONGEST = 72, 9.0, 10.0, 8.0, 28
LINE, RING = "#999999", "#111111"
Array = NDArray[np.float64]


class Entry(NamedTuple):
    """An entry of the legend: a mark of a colour, with what it means."""

    name: str
    mark: str
    colour: Array
    is_wrong: bool = False

    @property
    def width(self) -> float:
        """In inches, with the space behind it; marks of one kind stand close."""
        return 0.8 * MARK + (text_width(self.name, SMALLER) + 0.25 if self.name else 0.03)


class Canvas(NamedTuple):
    """A picture with the lines of a tree and a heading.

    Arguments:
        figure, axes: of matplotlib; a unit is an inch.
        words: the word of every node as it is shown, "" for a node that has children.
        at: the positions of the nodes (n, 2), to the right and up from the root's level.
        middle: the position of the middle, to the right.
    """

    figure: Any
    axes: Any
    words: list[str]
    at: Array
    middle: float


def canvas(tree: LabelledTree, heading: str, above: float, width: float = 0.0) -> Canvas:
    """A picture with the lines of a tree; ValueError for more than MOST_NODES nodes.

    Arguments:
        tree: the tree.
        heading: stands at the top.
        above: from the root up to the top, in inches.
        width: the least that it has, in inches.
    """
    # Imported here: matplotlib takes a second.
    from matplotlib.figure import Figure

    words, at, wide = layout(tree)
    least = max(wide, text_width(heading, HEADING), width)
    low = at[:, 1].min() - BELOW - MARGIN
    made = Figure(figsize=(least + 2 * MARGIN, above - low))
    axes = made.add_axes((0, 0, 1, 1))
    at[:, 0] += (least - wide) / 2
    axes.set(xlim=(-MARGIN, least + MARGIN), ylim=(low, above))
    axes.set_axis_off()
    _draw_edges(axes, tree.parent, at)
    axes.text(least / 2, above - MARGIN, heading, fontsize=HEADING, ha="center", va="center",
              parse_math=False)  # fmt: skip
    return Canvas(made, axes, words, at, least / 2)


def figure(shown: Any, title: str) -> Any:
    """A `ClassTree` as a figure of matplotlib; ValueError for more than MOST_NODES nodes."""
    legend = _legend(shown)
    heading = "; ".join(filter(None, [title, shown.verdict]))
    drawn = canvas(shown.tree, heading, ABOVE, sum(one.width for one in legend))
    _draw_marks(drawn.axes, shown, drawn.at, drawn.words)
    _draw_legend(drawn.axes, legend, drawn.middle)
    return drawn.figure


def _shortened(word: str) -> str:
    plain = "".join(one if one.isprintable() else "·" for one in word)
    return plain if len(plain) <= LONGEST else f"{plain[: LONGEST - 1]}…"


def layout(tree: LabelledTree) -> tuple[list[str], Array, float]:
    """The words to show, positions (n, 2) to the right and up, and the width, both in inches.

    Words stand in their order, each in a column of its own; a node stands between its first and its
    last child, a level above. So lines do not cross. ValueError for more than MOST_NODES nodes.
    """
    if len(tree) > MOST_NODES:
        raise ValueError(f"a picture shows at most {MOST_NODES} nodes, got a tree of {len(tree)}")
    words = [_shortened(word) for word in tree.words]
    parent, spans = tree.parent.tolist(), tree.spans
    leaves = [node for node, word in enumerate(words) if word]
    wide = [text_width(words[node], FONT) for node in leaves]
    slot = np.maximum(np.array(wide), MARK) + GAP
    stop = np.cumsum(slot)
    at = np.zeros((len(words), 2))
    at[leaves, 0] = stop - slot / 2
    for node, above in enumerate(parent[1:], start=1):
        at[node, 1] = at[above, 1] - LEVEL
    first, last = {}, {}
    for node, above in enumerate(parent):
        first.setdefault(above, node)
        last[above] = node
    # Children come after their parents.
    for node in reversed(range(len(words))):
        if spans[node, 1] > spans[node, 0] and not words[node]:
            at[node, 0] = (at[first[node], 0] + at[last[node], 0]) / 2
    return words, at, float(stop[-1])


def text_width(text: str, size: float) -> float:
    """The width of a text in inches."""
    from matplotlib.textpath import TextPath

    # `$` would begin a formula.
    plain = text.strip().replace("$", "S")
    return TextPath((0, 0), plain, size=size).get_extents().width / POINTS if plain else 0.0


def _draw_edges(axes: Any, parent: NDArray[np.int64], at: Array) -> None:
    """The lines from nodes to their parents."""
    from matplotlib.collections import LineCollection

    child = np.flatnonzero(parent >= 0)
    ends = np.stack([at[parent[child]], at[child]], 1)
    axes.add_collection(LineCollection([*ends], colors=LINE, linewidths=1.0, zorder=1))


def _draw_marks(axes: Any, shown: ClassTree, at: Array, words: list[str]) -> None:
    colours = np.array([shown.colour(node) for node in range(len(at))])
    wrong, marks = shown.wrong, shown.classes.marks
    labels: list[int] = shown.labels.tolist()
    known = [marks[label] if label >= 0 else "" for label in labels]
    _circles(axes, at, colours, known, MARK, np.where(wrong, RING, LINE), np.where(wrong, 2, 0.6))
    for node in np.flatnonzero([bool(word) for word in words]):
        right, up = at[node]
        axes.text(right, up - BELOW, words[node], fontsize=FONT, ha="center", va="baseline",
                  zorder=4, parse_math=False)  # fmt: skip
    beside = at[wrong] + 0.55 * MARK
    given: list[int] = shown.given[wrong].tolist()
    full = np.array([shown.classes.colours[label] for label in given]).reshape(-1, 3)
    _circles(axes, beside, full, [marks[label] for label in given], SMALL, "white", 0.6)


def _circles(
    axes: Any, at: Array, colours: Array, marks: list[str], wide: float, edge: Any, line: Any
) -> None:
    """Circles of a diameter in inches, with a mark in each."""
    order = 2 if wide == MARK else 5
    axes.scatter(at[:, 0], at[:, 1], s=(wide * POINTS) ** 2, c=colours, edgecolors=edge,
                 linewidths=line, zorder=order)  # fmt: skip
    for (right, up), colour, mark in zip(at, colours, marks, strict=True):
        axes.text(right, up, mark, fontsize=FONT * wide / MARK, ha="center", va="center_baseline",
                  color="white" if is_dark(colour) else "black", zorder=order + 1,
                  parse_math=False)  # fmt: skip


def _legend(shown: ClassTree) -> list[Entry]:
    """The classes, how sure a class is, and what a wrong node looks like."""
    classes, last = shown.classes, len(shown.classes.names) - 1
    rows = zip(classes.names, classes.marks, classes.colours, strict=True)
    entries = [Entry(name, mark, np.array(colour)) for name, mark, colour in rows]
    if shown.probabilities is not None:
        shades = [classes.colour(last, sure) for sure in (0.5, 0.7, 1.0)]
        names = ("", "", "the surer, the darker")
        entries += [Entry(name, "", shade) for name, shade in zip(names, shades, strict=True)]
    if shown.wrong.any():
        entries.append(Entry("wrong: the given class is beside it", "", np.ones(3), True))
    return entries


def _draw_legend(axes: Any, legend: list[Entry], middle: float) -> None:
    """The entries in a line."""
    wide = [one.width for one in legend]
    right = middle - sum(wide) / 2 + np.cumsum([0, *wide[:-1]]) + MARK / 2
    at = np.stack([right, np.full(len(legend), LEGEND)], 1)
    is_wrong = np.array([one.is_wrong for one in legend])
    _circles(axes, at, np.array([one.colour for one in legend]), [one.mark for one in legend],
             0.8 * MARK, np.where(is_wrong, RING, LINE), np.where(is_wrong, 2, 0.6))  # fmt: skip
    for x, one in zip(right, legend, strict=True):
        axes.text(x + 0.6 * MARK, LEGEND, one.name, fontsize=SMALLER, ha="left", va="center")
