"""The picture of the README: a chain, a tree, a grid and a graph as levels.

    python docs/pictures/levels.py

Writes levels.png beside this file.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

import structnet as sn
from structnet.draw.picture import draw, example, sizes_of

# Of the pictures' own size; pixels between them.
SCALE, GAP = 0.5, 30
SHOWN = {"chain": {"length": 4}, "tree": {"leaves": 5}, "diagonal": {"height": 3, "width": 4},
         "graph": {"nodes": 8, "seed": 3}}  # fmt: skip


def main():
    panels = []
    with TemporaryDirectory() as folder:
        for name, sizes in SHOWN.items():
            topology = sn.topologies.create(name)
            path = Path(folder, f"{name}.png")
            draw(topology, example(topology, sizes_of(topology) | sizes), path)
            with Image.open(path) as picture:
                size = (round(SCALE * picture.width), round(SCALE * picture.height))
                panels.append(picture.convert("RGB").resize(size, Image.Resampling.LANCZOS))
    width = sum(one.width for one in panels) + GAP * (len(panels) - 1)
    height = max(one.height for one in panels)
    sheet, at = Image.new("RGB", (width, height), "white"), 0
    for one in panels:
        sheet.paste(one, (at, (height - one.height) // 2))
        at += one.width + GAP
    sheet.save(Path(__file__).with_name("levels.png"), optimize=True)


if __name__ == "__main__":
    main()
