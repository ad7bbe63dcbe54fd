"""Next-character prediction on generated texts."""

from structnet.plugins.sequence.tasks import arithmetic, xml  # noqa: F401
