"""Grids of any number of dimensions, PixelRNN and PixelCNN, and tasks on images."""

from structnet.plugins.grid import pixel, tasks, topology  # noqa: F401
