"""Prediction of what follows: in generated texts, and in real ones."""

from structnet.plugins.sequence.tasks import arithmetic, text, words, xml  # noqa: F401
