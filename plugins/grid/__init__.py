"""Grids of any size and number of dimensions: PixelRNN and its kin, and tasks on images."""

from structnet.plugins.grid import topology  # noqa: F401
