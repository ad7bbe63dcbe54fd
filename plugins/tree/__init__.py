"""Trees and forests, read up, down or both ways, and the tasks that come with them."""

from structnet.plugins.tree import sst, swapped, topology  # noqa: F401
