"""Pictures of levels: of a chain, a tree, a grid and a graph, and one level after the other.

    python docs/pictures/levels.py

Writes levels.png, the picture of the README, and levels.gif, that of why.md, beside this file.
"""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image, ImageSequence

import structnet as sn
from structnet.draw.animation import animate
from structnet.draw.picture import Look, draw, example, sizes_of

# Of the pictures' own size; pixels between them.
SCALE, GAP = 0.5, 30
SHOWN = {"chain": {"length": 4}, "tree": {"leaves": 5}, "diagonal": {"height": 3, "width": 4},
         "graph": {"nodes": 8, "seed": 3}}  # fmt: skip
# Frames have more pixels than they are shown with; those of a level and the last, in milliseconds.
MOVING_SCALE, LEVEL, LAST = 0.9, 700, 2500
MOVING = {"row": {"height": 4, "width": 4}, "diagonal": {"height": 4, "width": 4},
          "tree": {"leaves": 6, "seed": 2}, "graph": {"nodes": 8, "seed": 3}}  # fmt: skip
TITLES = {"row": "row grid", "diagonal": "diagonal grid", "tree": "tree", "graph": "DAG"}


def drawn(folder: str, suffix: str, scale: float, shown: dict) -> list[list[Image.Image]]:
    """The frames of the picture of every structure."""
    panels = []
    for name, sizes in shown.items():
        topology = sn.topologies.create(name)
        path = Path(folder, f"{name}{suffix}")
        structure = example(topology, sizes_of(topology) | sizes)
        if suffix == ".gif":
            animate(topology, structure, path, Look(title=TITLES[name]))
        else:
            draw(topology, structure, path)
        with Image.open(path) as picture:
            size = (round(scale * picture.width), round(scale * picture.height))
            panels.append([frame.convert("RGB").resize(size, Image.Resampling.LANCZOS)
                           for frame in ImageSequence.Iterator(picture)])  # fmt: skip
    return panels


def beside(panels: Sequence[Image.Image]) -> Image.Image:
    """One picture of several, side by side."""
    width = sum(one.width for one in panels) + GAP * (len(panels) - 1)
    height = max(one.height for one in panels)
    sheet, at = Image.new("RGB", (width, height), "white"), 0
    for one in panels:
        sheet.paste(one, (at, (height - one.height) // 2))
        at += one.width + GAP
    return sheet


def main():
    with TemporaryDirectory() as folder:
        panels = drawn(folder, ".png", SCALE, SHOWN)
        moving = drawn(folder, ".gif", MOVING_SCALE, MOVING)
    beside([one[0] for one in panels]).save(Path(__file__).with_name("levels.png"), optimize=True)
    # A structure whose levels are all computed waits for the others.
    count = max(map(len, moving))
    first, *others = [beside([one[min(at, len(one) - 1)] for one in moving]) for at in range(count)]
    first.save(Path(__file__).with_name("levels.gif"), save_all=True, append_images=others, loop=0,
               duration=[LEVEL] * (count - 1) + [LAST])  # fmt: skip


if __name__ == "__main__":
    main()
