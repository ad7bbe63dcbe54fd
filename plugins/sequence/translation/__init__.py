"""Encoder and decoder: from a structure of any topology to a sequence."""

from structnet.plugins.sequence.translation import net  # noqa: F401
