"""Structured recurrent networks over sequences, trees, grids and graphs.

Names are imported on first use, so that the command line answers `--help` without torch.
"""

import importlib
from functools import cache
from importlib import metadata

_HOME = {
    "cells": "structnet.cells",
    "topologies": "structnet.registry",
    "readouts": "structnet.readout",
    "nets": "structnet.net",
    "tasks": "structnet.registry",
    "Plan": "structnet.plan",
    "schedule": "structnet.scheduling",
    "Edges": "structnet.edges",
    "Topology": "structnet.topology",
    "Batch": "structnet.batch",
    "Batches": "structnet.loading",
    "IGNORE": "structnet.task",
    "Sample": "structnet.batch",
    "Task": "structnet.task",
    "Tokens": "structnet.batch",
    "Vocabulary": "structnet.batch",
    "ancestors": "structnet.closure",
    "as_bytes": "structnet.memory",
    "check_archive": "structnet.reading",
    "check_file": "structnet.reading",
    "collate": "structnet.batch",
    "data_folder": "structnet.task",
    "keep_memory": "structnet.memory",
    "loader": "structnet.loading",
    "read_bytes": "structnet.reading",
    "read_text": "structnet.reading",
    "total_memory": "structnet.memory",
    "node_loader": "structnet.node_loading",
    "Cell": "structnet.cells",
    "Net": "structnet.net",
    "Readout": "structnet.readout",
    "Sizes": "structnet.net",
    "Origin": "structnet.batch",
    "Recurrence": "structnet.recurrence",
    "Regression": "structnet.regression",
    "Run": "structnet.run",
    "RNN": "structnet.rnn",
}
__all__ = sorted((*_HOME, "DataWarning"))  # pyright: ignore[reportUnsupportedDunderAll]


class DataWarning(UserWarning):
    """Data that was passed over, cut off, or taken otherwise than it stands."""


@cache
def __getattr__(name: str):
    if name == "__version__":
        return metadata.version("structnet")
    if name not in _HOME:
        raise AttributeError(f"module 'structnet' has no attribute {name!r}")
    module = importlib.import_module(_HOME[name])
    return module if _HOME[name] == f"structnet.{name}" else getattr(module, name)


def __dir__() -> list[str]:
    return __all__
