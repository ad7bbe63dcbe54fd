"""Superpixels: regions of similar colour in an image, their features and their adjacency.

n: superpixels of an image, h, w: its height and width, numbered from 0.
"""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

# Mean, deviation and two quantiles of three channels; position and extent in two axes; size.
FEATURES = 17
# Which of them are the position.
CENTRE = slice(12, 14)
QUANTILES = (0.1, 0.9)


def superpixels(image: NDArray[np.uint8], count: int, compactness: float) -> Ints:
    """The superpixel (h, w) of every pixel, about `count` in all, by SLIC (Achanta et al. 2012).

    Each superpixel is connected. ModuleNotFoundError without scikit-image.
    """
    try:
        from skimage.segmentation import slic
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "superpixels are computed by scikit-image, which is not installed: "
            "pip install scikit-image, or install structnet with its extra 'superpixels'"
        ) from error
    found = slic(image, n_segments=count, compactness=compactness, start_label=0, channel_axis=-1)
    # Small ones have been merged, which leaves gaps in the numbering.
    return np.unique(found, return_inverse=True)[1].reshape(found.shape)


def adjacency(regions: Ints) -> Ints:
    """The edges (2, E) between superpixels that touch along a side, each in both directions."""
    beside = [(regions[:, :-1], regions[:, 1:]), (regions[:-1], regions[1:])]
    pairs = np.concatenate([np.stack([a.ravel(), b.ravel()]) for a, b in beside], axis=1)
    pairs = np.unique(np.sort(pairs[:, pairs[0] != pairs[1]], axis=0), axis=1)
    return np.concatenate([pairs, pairs[::-1]], axis=1)


def describe(image: NDArray[np.uint8], regions: Ints) -> Floats:
    """The features (n, FEATURES) of every superpixel, most of them from -1 to 1.

    Mean, standard deviation and quantiles of its colour, row and column of its centre, height and
    width, and the logarithm of its size relative to the mean size.
    """
    region, count = regions.ravel(), 1 + regions.max()
    colour = image.reshape(-1, 3) / 127.5 - 1
    size = np.bincount(region, minlength=count)
    mean, square = (_mean(values, region, size) for values in (colour, colour**2))
    axes = [np.linspace(-1, 1, side) for side in regions.shape]
    place = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    ends = [_quantile(place, region, size, share) for share in (0, 1)]
    return np.concatenate(
        [
            mean,
            np.sqrt((square - mean**2).clip(min=0)),
            *(_quantile(colour, region, size, share) for share in QUANTILES),
            _mean(place, region, size),
            ends[1] - ends[0],
            np.log(size / size.mean())[:, None],
        ],
        axis=1,
        dtype=np.float32,
    )


def mean_colours(x: Floats) -> NDArray[np.float64]:
    """The mean colours (n, 3) of superpixels with features x, from 0 to 255."""
    return (127.5 * (np.asarray(x, np.float64)[:, :3] + 1)).clip(0, 255)


def centres(x: Floats) -> Floats:
    """The rows and columns (n, 2) of the centres of superpixels with features x, from -1 to 1."""
    return np.asarray(x)[:, CENTRE]


def shares(x: Floats) -> NDArray[np.float64]:
    """The shares (n,) of the pixels of an image that its superpixels with features x have."""
    size = np.exp(np.asarray(x, np.float64)[:, -1])
    return size / size.sum()


def count_labels(labels: NDArray[np.uint8], regions: Ints, classes: int) -> Ints:
    """The number of pixels (n, classes) of each class per superpixel; others are not counted."""
    known = labels < classes
    counts = np.zeros((1 + regions.max(), classes), np.int64)
    np.add.at(counts, (regions[known], labels[known]), 1)
    return counts


def _mean(values: NDArray, region: Ints, size: Ints) -> NDArray:
    sums = [np.bincount(region, column, len(size)) for column in values.T]
    return np.stack(sums, axis=1) / size[:, None]


def _quantile(values: NDArray, region: Ints, size: Ints, share: float) -> NDArray:
    """The quantile (n, D) of the values in every superpixel, for a share from 0 to 1."""
    at = np.cumsum(size) - size + np.rint(share * (size - 1)).astype(np.int64)
    return np.stack([column[np.lexsort((column, region))[at]] for column in values.T], axis=1)
