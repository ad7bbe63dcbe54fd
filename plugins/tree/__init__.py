"""Trees and forests, read up, down or both ways, and tasks on sentences and Python expressions."""

from structnet.plugins.tree import nets, tasks, topology  # noqa: F401
