"""Simple models of images, to compare with.

h, w: height and width; C: channels; L: levels of a channel.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Image = NDArray[np.uint8]
Codes = tuple[NDArray[np.int64], NDArray[np.int64]]
# Height and width, features of every pixel (h w, D), and their classes (h w,).
Labelled = tuple[tuple[int, int], NDArray, NDArray[np.int64]]

# The most images that contexts are counted in, and that classifiers are fitted to.
COUNTED, FITTED = 20_000, 5_000
FITTED_PIXELS = 40_000
# The inverse strength of the L2 penalty, times the number of pixels.
PENALTY = 6.0
# The weight, in observations, of the distribution over all contexts in each context.
PRIOR = 2.0
# The ten pixels of JBIG's three-line template (ITU-T T.82, figure 14), (row, column).
JBIG = ((-2, -1), (-2, 0), (-2, 1), (-1, -2), (-1, -1), (-1, 0), (-1, 1), (-1, 2), (0, -2), (0, -1))
# Up to this number of levels, values are counted, beyond it differences from a prediction.
FEW = 32


def fit_densities(
    train: Sequence[Image], test: Sequence[Image], levels: int
) -> dict[str, dict[str, float]]:
    """Test nats per image and bits per dimension of distributions estimated by counting.

    "independent" has one distribution per position in the image (one per channel where images
    differ in size), "neighbours" one per context of `neighbours`.
    """
    alike = len({image.shape for image in (*train, *test)}) == 1
    return {
        "independent": _count(train, test, levels, lambda image: _alone(image, alike)),
        "neighbours": _count(train, test, levels, lambda image: neighbours(image, levels)),
    }


def fit_classifiers(
    train: tuple[Sequence[Image], Sequence[int]], test: tuple[Sequence[Image], Sequence[int]]
) -> dict[str, dict[str, float]]:
    """Test accuracy of the most frequent class and, for equal sizes, of logistic regression."""
    from sklearn.linear_model import LogisticRegression

    (images, labels), (test_images, test_labels) = train, test
    frequent = np.bincount(labels).argmax()
    found = {"majority": {"accuracy": float(np.mean(np.asarray(test_labels) == frequent))}}
    if len({image.shape for image in (*images, *test_images)}) == 1:
        pixels, unseen = (np.stack(some).reshape(len(some), -1) for some in (images, test_images))
        mean, top = pixels[:FITTED].mean(0), max(1, int(pixels.max()))
        model = LogisticRegression(C=PENALTY / pixels.shape[1], max_iter=1000)
        model.fit((pixels[:FITTED] - mean) / top, labels[:FITTED])
        accuracy = float(model.score((unseen - mean) / top, test_labels))
        found["logistic regression"] = {"accuracy": accuracy}
    return found


def fit_pixels(
    train: Sequence[Labelled], test: Sequence[Labelled], ignore: int
) -> dict[str, Tensor]:
    """Predicted classes of all test pixels; training pixels of class `ignore` are left out.

    "place" is the most frequent class at each position of the images, which have equal sizes;
    "pixel" is histogram gradient boosting on a pixel's features.
    """
    from structnet.plugins.baselines.features import boosted_classifier

    x, y = _pixels(train)
    known = np.flatnonzero(y != ignore)
    classes = 1 + y[known].max()
    places = np.arange(len(train[0][2]))
    counts = np.zeros((len(places), classes))
    np.add.at(counts, (np.tile(places, len(train))[known], y[known]), 1)
    model = boosted_classifier()
    some = np.random.default_rng(0).permutation(known)[:FITTED_PIXELS]
    model.fit(x[some], y[some])
    found = {
        "place": np.tile(counts.argmax(1), len(test)),
        "pixel": model.predict(_pixels(test)[0]),
    }
    return {name: torch.from_numpy(predicted) for name, predicted in found.items()}


def _pixels(images: Sequence[Labelled]) -> tuple[NDArray, NDArray[np.int64]]:
    """Features and classes of the pixels of all images."""
    return np.concatenate([x for _, x, _ in images]), np.concatenate([y for _, _, y in images])


def neighbours(image: Image, levels: int) -> Codes:
    """The context of every pixel, as a number, and the symbol that is counted there, both (h w C,).

    For binary images the context is ten earlier pixels, for a few levels the left and the upper
    one, and the symbol is the value. For more levels the symbol is the difference, modulo L, from
    the median of left, up and left + up - upper left (Weinberger et al. 2000, eq. 1), and the
    context is the steepness of the image.
    """
    h, w, channels = image.shape
    values = image.astype(np.int64)

    def before(row: int, column: int, outside: int) -> NDArray[np.int64]:
        framed = np.pad(values, ((2, 0), (2, 2), (0, 0)), constant_values=outside)
        return framed[2 + row : 2 + row + h, 2 + column : 2 + column + w]

    if levels == 2:
        context = sum(before(*at, 0) << bit for bit, at in enumerate(JBIG))
        symbol = values
    elif levels <= FEW:
        context = before(0, -1, levels) * (levels + 1) + before(-1, 0, levels)
        symbol = values
    else:
        left, up, corner = before(0, -1, 0), before(-1, 0, 0), before(-1, -1, 0)
        predicted = np.median([left, up, left + up - corner], axis=0).astype(np.int64)
        steepness = abs(left - corner) + abs(up - corner)
        context = np.ceil(np.log2(steepness + 1)).astype(np.int64)
        symbol = (values - predicted) % levels
    return (context * channels + np.arange(channels)).ravel(), symbol.ravel()


def _alone(image: Image, by_place: bool) -> Codes:
    size = image.size if by_place else image.shape[2]
    return np.arange(image.size) % size, image.astype(np.int64).ravel()


def _count(
    train: Sequence[Image], test: Sequence[Image], levels: int, codes: Callable[[Image], Codes]
) -> dict[str, float]:
    counts = np.zeros((0, levels))
    for image in train[:COUNTED]:
        context, symbol = codes(image)
        more = 1 + context.max() - len(counts)
        if more > 0:
            counts = np.concatenate([counts, np.zeros((more, levels))])
        np.add.at(counts, (context, symbol), 1)
    overall = (counts.sum(0) + 1) / (counts.sum() + levels)
    seen = np.log((counts + PRIOR * overall) / (counts.sum(1, keepdims=True) + PRIOR))
    unseen = np.log(overall)
    nats, dimensions = 0.0, 0
    for image in test:
        context, symbol = codes(image)
        known = context < len(seen)
        nats -= seen[context[known], symbol[known]].sum() + unseen[symbol[~known]].sum()
        dimensions += image.size
    nats = float(nats)
    return {"nats_per_image": nats / len(test), "bits_per_dim": nats / dimensions / math.log(2)}
