"""What follows in texts and in series, captions, classes of texts and words, regular languages."""

from structnet.plugins.sequence.tasks import (  # noqa: F401
    arithmetic,
    automaton,
    bidirectional_text,
    captions,
    classification,
    expressions,
    forecast,
    sequences,
    tagging,
    text,
    transduce,
    translation,
    words,
    xml,
)
