"""New images drawn by a trained net, and completions of test images, on sheets."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import structnet as sn
from structnet.plugins.grid.likelihood import Likelihood
from structnet.plugins.grid.pixel.condition import Classes, Small
from structnet.plugins.grid.pixel.net import PixelNet
from structnet.plugins.grid.pixel.sampling import Step, sample

Picture = NDArray[np.uint8]
# The most nodes that are drawn at once, as their features are all stored.
MOST_NODES = 1 << 18
COMPLETIONS = 4
# The most pixels of a sheet.
MOST_PIXELS = 1 << 24


class DrawnTask(Protocol):
    """What is needed of a task whose images are drawn; see `PictureTask`."""

    channels: int
    levels: int
    likelihood: Likelihood

    @property
    def classes(self) -> Sequence[str]: ...

    @property
    def condition(self) -> Classes | Small | None: ...

    def encode(self, values: Tensor) -> Tensor: ...

    def picture(self, values: Tensor) -> Picture: ...

    def load(self, topology: sn.Topology) -> sn.Splits: ...


def blank(shape: tuple[int, int], channels: int, condition: Any = None) -> sn.Sample:
    """A sample of which only the size and the condition are known."""
    size = shape[0] * shape[1]
    x, y = np.zeros((size, channels), np.float32), np.zeros((size, channels), np.int64)
    return sn.Sample(shape, x, y, condition=condition)


def draw(
    task: DrawnTask,
    net: Any,
    topology: sn.Topology,
    samples: Sequence[sn.Sample],
    *,
    given_rows: float = 0.0,
    temperature: float = 1.0,
    seed: int = 0,
    bar: bool = False,
) -> list[Tensor]:
    """Draw values (h, w, C) of images like the samples; a share `given_rows` of rows is kept."""
    if not isinstance(net, PixelNet):
        raise ValueError(
            f"{sn.nets.called(net)} does not draw pixels: train with net=pixelrnn or net=pixelcnn"
        )
    device = next(net.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    images = []
    for some in _parts(samples):
        batch = sn.collate(some, topology).to(device)
        keep = [
            torch.arange(height * width) < round(height * given_rows) * width
            for height, width in batch.shapes
        ]
        values = sample(
            net,
            batch,
            task.likelihood,
            task.encode,
            known=batch.y,
            keep=torch.cat(keep).to(device),
            temperature=temperature,
            generator=generator,
            track=_bar if bar else iter,
        ).cpu()
        images += [
            part.view(*shape, -1)
            for part, shape in zip(
                values.split(batch.ptr.diff().tolist()), batch.shapes, strict=True
            )
        ]
    return images


def generate(
    task: DrawnTask,
    net: Any,
    topology: sn.Topology,
    n: int,
    temperature: float,
    seed: int,
    label: str | int | None,
    complete: int | None,
    small: str | None,
    shape: tuple[int | None, int | None],
) -> Any:
    """A sheet of images; the arguments are those of `PictureTask.generate`."""
    for option, value in (("n", n), ("complete", complete)):
        if value is not None and value < 1:
            raise ValueError(f"{option} is at least 1, got {value}")
    if complete is not None and (label, small, *shape) != (None,) * 4:
        raise ValueError("complete=... is of test images: leave out class, small, height and width")
    test = task.load(topology)["test"]
    if complete is not None and complete > len(test):
        raise ValueError(f"complete is at most {len(test)}, as many test images as there are")
    options = {"temperature": temperature, "seed": seed, "bar": True}
    if complete is not None:
        return completions(task, net, topology, test[:complete], **options)
    height, width = (
        known if wanted is None else wanted
        for wanted, known in zip(shape, test[0].structure, strict=True)
    )
    if n * height * width > MOST_PIXELS:
        raise ValueError(
            f"n={n} images of {height} x {width} pixels are too large for a sheet of at most "
            f"{MOST_PIXELS:,} pixels; draw fewer or smaller ones"
        )
    conditions = _conditions(task, test, n, label, small, options)
    samples = [blank((height, width), task.channels, condition) for condition in conditions]
    drawn = draw(task, net, topology, samples, **options)
    columns = len(task.classes) if isinstance(task.condition, Classes) else round(n**0.5)
    return sheet(map(task.picture, drawn), columns)


def completions(
    task: DrawnTask,
    net: Any,
    topology: sn.Topology,
    samples: Sequence[sn.Sample],
    **options: Any,
) -> Any:
    """One row per image: the image, its upper half, and that half with drawn lower halves."""
    repeated = [one for one in samples for _ in range(COMPLETIONS)]
    drawn = iter(draw(task, net, topology, repeated, given_rows=0.5, **options))
    tiles = []
    for one in samples:
        original = task.picture(torch.from_numpy(one.y).view(*one.structure, -1))
        hidden = original.copy()
        hidden[round(one.structure[0] * 0.5) :] = 128
        tiles += [original, hidden, *map(task.picture, islice(drawn, COMPLETIONS))]
    return sheet(tiles, 2 + COMPLETIONS)


def sheet(pictures: Iterable[Picture], columns: int, gap: int = 2) -> Any:
    """A Pillow image with pictures (h, w, 1 or 3) in `columns`, small ones enlarged."""
    # Imported here, as only drawing needs it.
    from PIL import Image

    tiles = list(pictures)
    height, width = (max(tile.shape[axis] for tile in tiles) for axis in (0, 1))
    scale = max(1, 56 // max(height, width))
    rows = -(-len(tiles) // columns)
    down, right = height * scale + gap, width * scale + gap
    canvas = np.full((rows * down + gap, columns * right + gap, 3), (70, 90, 140), np.uint8)
    for place, tile in enumerate(tiles):
        top, left = (place // columns) * down + gap, (place % columns) * right + gap
        large = tile.repeat(scale, axis=0).repeat(scale, axis=1)
        canvas[top : top + large.shape[0], left : left + large.shape[1]] = large
    return Image.fromarray(canvas)


def _conditions(
    task: DrawnTask,
    test: Sequence[sn.Sample],
    n: int,
    label: str | int | None,
    small: str | None,
    options: dict[str, Any],
) -> list[Any]:
    """The condition of each of n images."""
    kind = task.condition
    if label is not None and not isinstance(kind, Classes):
        raise ValueError(
            "class=... is for a net conditioned on it: train with task.condition=class"
        )
    if small is not None and not isinstance(kind, Small):
        raise ValueError(
            "small=... is for a net conditioned on it: train with task.condition=small"
        )
    if isinstance(kind, Classes):
        names = list(task.classes)
        if label is None:
            return [place % len(names) for place in range(n)]
        if str(label) not in names:
            raise ValueError(f"no class {str(label)!r} among {names}")
        return [names.index(str(label))] * n
    if not isinstance(kind, Small):
        return [None] * n
    if small is None:
        return [test[place % len(test)].condition for place in range(n)]
    return _small_images(task, kind, test, n, small, options)


def _small_images(
    task: DrawnTask,
    kind: Small,
    test: Sequence[sn.Sample],
    n: int,
    directory: str,
    options: dict[str, Any],
) -> list[Any]:
    """Small images drawn by another run; ValueError if they don't fit the net's condition."""
    run = sn.Run.open(directory)
    net, made = run.load_net(), run.task
    like = np.shape(test[0].condition)
    wanted = f"{like[0]} x {like[1]} pixels in {like[2]} channels of {task.levels} levels"
    if getattr(made, "levels", None) != task.levels or getattr(made, "channels", None) != like[2]:
        raise ValueError(f"small={directory} draws other images than this run needs: {wanted}")
    drawn_of = made.load(run.topology)["test"][0].structure
    if drawn_of != like[:2] or made.condition is not None:
        raise ValueError(
            f"small={directory} draws other images than this run needs, {wanted}: train one "
            f"with task.size={like[0]} and without task.condition"
        )
    samples = [blank(like[:2], like[2]) for _ in range(n)]
    drawn = draw(made, net, run.topology, samples, **options)  # pyright: ignore[reportArgumentType]
    return [task.encode(values).numpy() for values in drawn]


def _parts(samples: Sequence[sn.Sample]) -> Iterator[Sequence[sn.Sample]]:
    """The samples in groups of at most `MOST_NODES` nodes."""
    part, nodes = [], 0
    for one in samples:
        if part and nodes + one.num_nodes > MOST_NODES:
            yield part
            part, nodes = [], 0
        part.append(one)
        nodes += one.num_nodes
    yield part


def _bar(steps: Sequence[Step]) -> Iterable[Step]:
    """The steps with a progress bar, if stderr is a terminal."""
    # Imported here, as only drawing needs it.
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(steps, "drawing", console=console, transient=True, disable=not sys.stderr.isatty())
