"""What follows in texts, captions, classes of texts and of words, and regular languages."""

from structnet.plugins.sequence.tasks import (  # noqa: F401
    arithmetic,
    automaton,
    bidirectional_text,
    captions,
    classification,
    expressions,
    sequences,
    tagging,
    text,
    transduce,
    translation,
    words,
    xml,
)
