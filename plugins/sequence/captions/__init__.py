"""Texts that describe images: the net that writes them, and where images and captions come from."""

from structnet.plugins.sequence.captions import net  # noqa: F401
