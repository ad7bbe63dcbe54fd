"""Structured recurrent networks over sequences, trees, grids and graphs.

Names are imported on first use, so that the command line answers `--help` without torch.
"""

import importlib
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from structnet.cell.base import Cell as Cell
    from structnet.cell.frame import counting as counting
    from structnet.cell.linear import LinearCell as LinearCell
    from structnet.data.ancestors import ancestors as ancestors
    from structnet.data.batch import Batch as Batch
    from structnet.data.batch import Origin as Origin
    from structnet.data.batch import Sample as Sample
    from structnet.data.batch import Tokens as Tokens
    from structnet.data.batch import collate as collate
    from structnet.data.cross_entropy import IGNORE as IGNORE
    from structnet.data.drawing import Drawing as Drawing
    from structnet.data.folder import data_folder as data_folder
    from structnet.data.loader import Batches as Batches
    from structnet.data.loader import batch_loader as batch_loader
    from structnet.data.loader import loader as loader
    from structnet.data.mixed import Mixed as Mixed
    from structnet.data.node_loader import node_loader as node_loader
    from structnet.data.regression import Regression as Regression
    from structnet.data.spelled import Spelled as Spelled
    from structnet.data.splits import Splits as Splits
    from structnet.data.task import Task as Task
    from structnet.data.transitions import Transitions as Transitions
    from structnet.data.vectors import Vectors as Vectors
    from structnet.data.vectors import read_vectors as read_vectors
    from structnet.data.vocabulary import Vocabulary as Vocabulary
    from structnet.draw.animation import animation as animation
    from structnet.draw.picture import picture as picture
    from structnet.execute.executor import Executor as Executor
    from structnet.execute.executor import Pass as Pass
    from structnet.execute.executor import Spec as Spec
    from structnet.execute.sweep import Sweep as Sweep
    from structnet.fitting.fit import fit as fit
    from structnet.fitting.run import Run as Run
    from structnet.nn.head import Head as Head
    from structnet.nn.head import JointHead as JointHead
    from structnet.nn.head import Scores as Scores
    from structnet.nn.net import Net as Net
    from structnet.nn.pretrained import Pretrained as Pretrained
    from structnet.nn.readout import Readout as Readout
    from structnet.nn.readout import compare_pair as compare_pair
    from structnet.nn.recurrence import Recurrence as Recurrence
    from structnet.nn.rnn import RNN as RNN
    from structnet.nn.sizes import Sizes as Sizes
    from structnet.nn.stepper import Stepper as Stepper
    from structnet.registry import cells as cells
    from structnet.registry import executors as executors
    from structnet.registry import heads as heads
    from structnet.registry import nets as nets
    from structnet.registry import readouts as readouts
    from structnet.registry import tasks as tasks
    from structnet.registry import topologies as topologies
    from structnet.system.files import write as write
    from structnet.system.memory import as_bytes as as_bytes
    from structnet.system.memory import keep_memory as keep_memory
    from structnet.system.memory import total_memory as total_memory
    from structnet.system.reading import check_archive as check_archive
    from structnet.system.reading import check_file as check_file
    from structnet.system.reading import read_bytes as read_bytes
    from structnet.system.reading import read_text as read_text
    from structnet.system.terminal import print_rows as print_rows
    from structnet.system.terminal import visible as visible
    from structnet.system.words import take_flag as take_flag
    from structnet.system.words import take_options as take_options
    from structnet.system.words import take_repeated as take_repeated
    from structnet.system.words import whole as whole
    from structnet.topology.base import Topology as Topology
    from structnet.topology.edges import Edges as Edges
    from structnet.topology.parents import children as children
    from structnet.topology.parents import left_child_right_sibling as left_child_right_sibling
    from structnet.topology.plan import Plan as Plan
    from structnet.topology.schedule import schedule as schedule

    __version__: str

# The module that a public name is imported from.
_HOME = {
    "Batch": "structnet.data.batch",
    "Batches": "structnet.data.loader",
    "Cell": "structnet.cell.base",
    "Drawing": "structnet.data.drawing",
    "Edges": "structnet.topology.edges",
    "Executor": "structnet.execute.executor",
    "Head": "structnet.nn.head",
    "IGNORE": "structnet.data.cross_entropy",
    "JointHead": "structnet.nn.head",
    "LinearCell": "structnet.cell.linear",
    "Mixed": "structnet.data.mixed",
    "Net": "structnet.nn.net",
    "Origin": "structnet.data.batch",
    "Pass": "structnet.execute.executor",
    "Plan": "structnet.topology.plan",
    "Pretrained": "structnet.nn.pretrained",
    "RNN": "structnet.nn.rnn",
    "Readout": "structnet.nn.readout",
    "Recurrence": "structnet.nn.recurrence",
    "Regression": "structnet.data.regression",
    "Run": "structnet.fitting.run",
    "Sample": "structnet.data.batch",
    "Scores": "structnet.nn.head",
    "Sizes": "structnet.nn.sizes",
    "Spec": "structnet.execute.executor",
    "Spelled": "structnet.data.spelled",
    "Splits": "structnet.data.splits",
    "Stepper": "structnet.nn.stepper",
    "Sweep": "structnet.execute.sweep",
    "Task": "structnet.data.task",
    "Tokens": "structnet.data.batch",
    "Topology": "structnet.topology.base",
    "Transitions": "structnet.data.transitions",
    "Vectors": "structnet.data.vectors",
    "Vocabulary": "structnet.data.vocabulary",
    "ancestors": "structnet.data.ancestors",
    "animation": "structnet.draw.animation",
    "as_bytes": "structnet.system.memory",
    "batch_loader": "structnet.data.loader",
    "cells": "structnet.registry",
    "check_archive": "structnet.system.reading",
    "check_file": "structnet.system.reading",
    "children": "structnet.topology.parents",
    "collate": "structnet.data.batch",
    "compare_pair": "structnet.nn.readout",
    "counting": "structnet.cell.frame",
    "data_folder": "structnet.data.folder",
    "executors": "structnet.registry",
    "fit": "structnet.fitting.fit",
    "heads": "structnet.registry",
    "keep_memory": "structnet.system.memory",
    "left_child_right_sibling": "structnet.topology.parents",
    "loader": "structnet.data.loader",
    "nets": "structnet.registry",
    "node_loader": "structnet.data.node_loader",
    "picture": "structnet.draw.picture",
    "print_rows": "structnet.system.terminal",
    "read_bytes": "structnet.system.reading",
    "read_text": "structnet.system.reading",
    "read_vectors": "structnet.data.vectors",
    "readouts": "structnet.registry",
    "schedule": "structnet.topology.schedule",
    "take_flag": "structnet.system.words",
    "take_options": "structnet.system.words",
    "take_repeated": "structnet.system.words",
    "tasks": "structnet.registry",
    "topologies": "structnet.registry",
    "total_memory": "structnet.system.memory",
    "visible": "structnet.system.terminal",
    "whole": "structnet.system.words",
    "write": "structnet.system.files",
}
__all__ = sorted((*_HOME, "DataWarning"))  # pyright: ignore[reportUnsupportedDunderAll]


class DataWarning(UserWarning):
    """Data that was skipped, truncated or read differently from how it is written."""


@cache
def __getattr__(name: str) -> Any:
    if name == "__version__":
        return metadata.version("structnet")
    if name not in _HOME:
        raise AttributeError(f"module 'structnet' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
