"""What follows in texts, captions, classes of texts, and regular languages."""

from structnet.plugins.sequence.tasks import (  # noqa: F401
    arithmetic,
    automaton,
    captions,
    classification,
    text,
    words,
    xml,
)
