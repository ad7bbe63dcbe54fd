"""Nets over trees."""

from structnet.plugins.tree.nets import shift_reduce  # noqa: F401
