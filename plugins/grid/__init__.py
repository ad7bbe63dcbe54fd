"""Grids of any size and number of dimensions: PixelRNN and its kin, and tasks on images."""

from structnet.plugins.grid import (  # noqa: F401
    cifar10,
    digits,
    folder,
    mnist,
    pixelcnn,
    pixelrnn,
    segmentation,
    topology,
)
