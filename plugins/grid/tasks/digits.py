"""Scikit-learn's hand-written digits, which need no files."""

from typing import Any

import numpy as np

import structnet as sn
from structnet.plugins.grid.tasks.binary import GreyTask
from structnet.plugins.grid.tasks.pictures import Split

LEVELS = 17


@sn.tasks.register("digits")
class Digits(GreyTask):
    """1,797 hand-written digits of 8 x 8 pixels, 17 levels of grey.

    Alpaydin and Kaynak (1998), the test set of UCI's optical recognition of handwritten digits, as
    included in scikit-learn. By a fixed seed, 360 of them are the test split and 180 validation.
    """

    classes = "0123456789"

    def __init__(self, **options: Any):
        super().__init__(LEVELS, **options)

    def read_splits(self) -> dict[str, Split]:
        # Imported here: scikit-learn takes a second.
        from sklearn.datasets import load_digits

        digits: Any = load_digits()
        order = np.random.default_rng(0).permutation(len(digits.target))
        parts = dict(zip(("test", "validation", "train"), np.split(order, [360, 540]), strict=True))
        splits = {
            name: Split(digits.images[some, :, :, None].astype(np.uint8), digits.target[some])
            for name, some in parts.items()
        }
        return self.binarised(splits)
