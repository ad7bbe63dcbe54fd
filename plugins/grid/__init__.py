"""Grids of any size and number of dimensions: PixelRNN and its kin, and tasks on images."""

from structnet.plugins.grid import digits, topology  # noqa: F401
