"""Trees and forests, tasks on them, and nets that compare two structures or build trees."""

from structnet.plugins.tree import nets, tasks, topology  # noqa: F401
