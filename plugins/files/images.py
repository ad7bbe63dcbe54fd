"""Image files: IDX, PNG and JPEG."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.files.skipping import Read, read_all

# The third byte of an IDX file's magic number: the type of its values, unsigned bytes.
UNSIGNED_BYTE = 0x08
SUFFIXES = (".png", ".jpg", ".jpeg")
# Pillow's names of grey and coloured images with 8 bits per channel.
MODES = {1: "L", 3: "RGB"}
# The most pixels of an image, 8192 x 8192.
MOST_PIXELS = 1 << 26


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The array of bytes in an IDX file with the given number of dimensions.

    LeCun's format: two zero bytes, type, number of dimensions, every dimension in four bytes (most
    significant first), values. ValueError, naming the file and what was expected, for another magic
    number, and for fewer or more values than the dimensions say.
    """
    start = 4 + 4 * dimensions
    data = sn.read_bytes(path, start)
    magic = bytes((0, 0, UNSIGNED_BYTE, dimensions))
    if data[:4] != magic:
        raise ValueError(
            f"{path} begins with {data[:4].hex() or 'nothing'}, expected {magic.hex()}: an IDX "
            f"file of unsigned bytes in {dimensions} dimensions"
        )
    if len(data) < start:
        raise ValueError(
            f"{path} ends in its header, after {len(data)} of {start} bytes; get it again"
        )
    shape = tuple(np.frombuffer(data, ">u4", dimensions, offset=4).tolist())
    expected = start + int(np.prod(shape, dtype=object))
    # One more byte shows whether the file is too long.
    data = sn.read_bytes(path, expected + 1)
    if len(data) != expected:
        what = "cut off" if len(data) < expected else "longer than that"
        raise ValueError(
            f"{path} is of {' x '.join(map(str, shape))} values, {expected} bytes expected, got "
            f"{len(data)}{'' if len(data) < expected else ' or more'}: it is {what}; get it again"
        )
    if 0 in shape:
        raise ValueError(f"{path} holds no images: it is of {' x '.join(map(str, shape))} values")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape).copy()


def refuse_labels(path: Path, labels: NDArray[np.uint8], count: int) -> None:
    """ValueError, naming file and image, for a label that is not below `count`."""
    wrong = np.flatnonzero(labels >= count)
    if len(wrong):
        raise ValueError(
            f"{path}: label {labels[wrong[0]]} of image {wrong[0]} is out of range, expected 0 to "
            f"{count - 1}"
        )


def image_files(folder: Path) -> list[Path]:
    """The PNG and JPEG files below a folder, sorted; FileNotFoundError or ValueError for none."""
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}; set task.root=FOLDER to one with images")
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        # Hidden files and folders hold thumbnails and caches.
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not files:
        raise ValueError(f"no images ({', '.join(SUFFIXES)}) below {folder}")
    return files


def read_images(path: Path, read: Callable[[Path], Read]) -> Iterator[tuple[Path, Read]]:
    """What `read` makes of an image file, or of each below a folder, and the file.

    Of a folder those that can't be read are skipped, as by `read_all`. FileNotFoundError for a
    missing path.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"no file or folder {str(path)!r}; give an image, or a folder with images"
        )
    if path.is_dir():
        yield from read_all(image_files(path), lambda file: [(file, read(file))], (ValueError,))
    else:
        yield path, read(path)


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Without Pillow's warnings of large images, which are rejected here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_coloured(path: Path) -> NDArray[np.uint8]:
    """An image (h, w, 3) in colours, those of grey ones included.

    What is transparent is white. ValueError, naming the file, as by `read_image`, but for other
    channels.
    """
    from PIL import Image

    image, is_wide = _opened(path)
    if is_wide or image.mode.startswith(("I", "F")):
        raise ValueError(f"{path} has more than 8 bits per channel; convert it, or remove it")
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return np.array(Image.alpha_composite(white, image).convert("RGB"))


def read_image(path: Path, channels: int) -> NDArray[np.uint8]:
    """An image (h, w, channels) with 8 bits per channel.

    Palettes and orientation are resolved, and black and white becomes grey. ValueError, naming the
    file, if it can't be read, has other channels or more bits, or too many pixels by its header.
    """
    image, is_wide = _opened(path)
    mode, values = image.mode, np.array(image)
    if is_wide and mode == "RGB":
        raise ValueError(f"{path} has 16 bits per channel, expected 8; convert it, or remove it")
    if mode != MODES[channels]:
        others = [str(number) for number, of in MODES.items() if of == mode]
        way = f"set task.channels={others[0]} if all are like it" if others else "convert it"
        raise ValueError(
            f"{path} has mode {mode} ({' x '.join(map(str, values.shape))}, {values.dtype}), "
            f"expected {MODES[channels]}: task.channels={channels} of 8 bits; {way}, or remove it"
        )
    return values.reshape(*values.shape[:2], channels)


def _opened(path: Path) -> tuple[Any, bool]:
    """An image of Pillow, and whether its file has 16 bits per channel.

    Palettes and orientation are resolved, and black and white is grey.
    """
    # Imported here, as few tasks read images.
    from PIL import Image, ImageOps

    try:
        sn.check_file(path)
        with _no_warnings(), Image.open(path, formats=("PNG", "JPEG")) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(
                    f"{image.height} x {image.width} pixels, more than {MOST_PIXELS:,}; reduce it"
                )
            # Pillow keeps only the upper bytes of 16-bit colours.
            wide = any("16" in str(tile[3]) for tile in image.tile)
            image = ImageOps.exif_transpose(image)
            image.load()
            if image.mode == "1":
                image = image.convert("L")
            elif image.mode == "P" and "transparency" not in image.info:
                image = image.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} is no PNG or JPEG file that can be read: {error}") from error
    return image, wide


def resized(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """An image (h, w, C) scaled to another size; what is made smaller is averaged."""
    from PIL import Image

    if image.shape[:2] == (height, width):
        return image
    # Without the axis of a single channel, as Pillow has it.
    plain = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    made = plain.resize((width, height), Image.Resampling.BILINEAR)
    # Copied, as torch warns of arrays that can't be written to.
    return np.array(made, np.uint8).reshape(height, width, image.shape[2])


def check_picture(path: Path, option: str = "out") -> Path:
    """The path of a picture to write.

    ValueError if it does not end in .png, FileNotFoundError without its folder.
    """
    if path.suffix.lower() != ".png" or path.is_dir():
        raise ValueError(f"{option} must be a .png file, got {path}")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"no folder {path.absolute().parent} to write {path.name} to")
    return path
