"""Nets that build trees, and that compare two structures."""

from structnet.plugins.tree.nets import parser, shift_reduce, siamese  # noqa: F401
