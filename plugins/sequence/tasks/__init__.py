"""What follows in generated and real texts, classes of texts, and regular languages."""

from structnet.plugins.sequence.tasks import (  # noqa: F401
    arithmetic,
    automaton,
    classification,
    text,
    words,
    xml,
)
