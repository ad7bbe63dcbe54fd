"""Syntax trees of source code, whose labels are what the nodes are in the language's grammar."""

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

import structnet as sn
from structnet.plugins.code.grammars import definitions
from structnet.plugins.treebanks.tree import LabelledTree


def read_programs(files: Iterable[Path], language: str) -> Iterator[LabelledTree]:
    """The trees of the outermost definitions and statements of files.

    Keywords, operators and brackets are leaves without a label. Those with a syntax error are
    skipped, with a DataWarning that names file, line and column of the first; ValueError where all
    have one, and if no grammar of the language is installed.
    """
    broken: list[SyntaxError] = []
    count = 0
    for file in files:
        for one in definitions(file, language):
            count += 1
            if isinstance(one, SyntaxError):
                broken.append(one)
            else:
                yield LabelledTree(file, one.line, one.kinds, one.words, np.array(one.parent))
    if broken and len(broken) == count:
        raise ValueError(str(broken[0]))
    if broken:
        warnings.warn(
            f"skipped {len(broken)} of {count} definitions, which have syntax errors: {broken[0]}"
            f"{', the first of them' if len(broken) > 1 else ''}",
            sn.DataWarning,
            stacklevel=2,
        )
