"""Images of fewer nodes: some of their pixels, or patches of them."""

from numpy.typing import NDArray


def thin(image: NDArray, option: str, value: int) -> NDArray:
    """Evenly spaced rows and columns of an image, the first ones included.

    With option "size" `value` of each are kept, with "factor" every `value`-th. ValueError if
    height and width are not divisible.
    """
    _check_divides(image, option, value)
    height, width = image.shape[:2]
    down, right = (height // value, width // value) if option == "size" else (value, value)
    return image[::down, ::right]


def patched(image: NDArray, side: int) -> NDArray:
    """An image (h, w, C) as its patches (h / side, w / side, side * side * C).

    A patch has its pixels row by row, each with its channels. ValueError if height and width are
    not divisible.
    """
    _check_divides(image, "patch", side)
    height, width, channels = image.shape
    parts = image.reshape(height // side, side, width // side, side, channels)
    return parts.swapaxes(1, 2).reshape(height // side, width // side, -1)


def _check_divides(image: NDArray, option: str, value: int) -> None:
    height, width = image.shape[:2]
    if height % value or width % value:
        way = "; task.size=N task.averaged=true scales images" if option == "patch" else ""
        raise ValueError(
            f"option {option!r} divides height and width of every image, {value} does not divide "
            f"{height} x {width}{way}"
        )
