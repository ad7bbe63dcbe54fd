"""Scikit-learn's hand-written digits, which are there wherever structnet is."""

import numpy as np
from structnet.plugins.grid.tasks.binary import binarised, check_way
from structnet.plugins.grid.tasks.pictures import PictureTask, Split

import structnet as sn

LEVELS = 17


@sn.tasks.register("digits")
class Digits(PictureTask):
    """1,797 hand-written digits of 8 x 8 pixels, 17 levels of grey.

    Alpaydin and Kaynak (1998), the test set of UCI's optical recognition of handwritten digits, as
    scikit-learn has it. By a fixed seed, 360 of them are the test split and 180 validation.
    `binarise` (static, threshold, dynamic) makes them black and white: see `binarised`. `goal` is
    pixels or class; the other options are those of `PictureTask`.

    Arguments:
        binarise: how images become black and white: static, threshold or dynamic; null keeps them
            grey.
    """

    classes = "0123456789"

    def __init__(
        self,
        *,
        goal: str = "pixels",
        likelihood: str | None = None,
        mixtures: int = 10,
        condition: str | None = None,
        factor: int = 2,
        size: int | None = None,
        train_size: int | None = None,
        binarise: str | None = None,
    ):
        check_way(binarise)
        super().__init__(
            channels=1,
            levels=2 if binarise else LEVELS,
            goal=goal,
            likelihood=likelihood,
            mixtures=mixtures,
            condition=condition,
            factor=factor,
            size=size,
            train_size=train_size,
        )
        self.binarise = binarise

    def read_splits(self) -> dict[str, Split]:
        # Imported here: scikit-learn takes a second.
        from sklearn.datasets import load_digits

        digits = load_digits()
        order = np.random.default_rng(0).permutation(len(digits.target))
        parts = dict(zip(("test", "validation", "train"), np.split(order, [360, 540]), strict=True))
        splits = {
            name: Split(digits.images[some, :, :, None].astype(np.uint8), digits.target[some])
            for name, some in parts.items()
        }
        return binarised(splits, LEVELS, self.binarise)
