"""Prediction of what follows, in generated texts and in real ones, and of regular languages."""

from structnet.plugins.sequence.tasks import arithmetic, automaton, text, words, xml  # noqa: F401
