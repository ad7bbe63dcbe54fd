"""Data-flow graphs of Python functions, built with ast.

A node is a value: a parameter, the definition or the use of a variable, an operation, a call, a
literal, or a statement that takes a value, such as return. An edge leads from a value to what is
computed from it; a use follows all definitions that may reach it. The body of a loop is read once,
so that the graph is acyclic; the numbers of nodes are a topological order.
"""

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import structnet as sn
from structnet.plugins.code.sources import parse
from structnet.plugins.graph.dataflow.reader import RECEIVERS, Reader, Use, Words

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, eq=False)
class Function:
    """The data flow of a function: the words of every node, edges (source, target) and uses.

    Uses of `self` and `cls` are left out.
    """

    path: Path
    words: list[Words]
    edges: list[tuple[int, int]]
    uses: list[Use]

    @cached_property
    def before(self) -> list[list[int]]:
        """The predecessors of every node."""
        before: list[list[int]] = [[] for _ in self.words]
        for source, target in self.edges:
            before[target].append(source)
        return before

    @cached_property
    def after(self) -> list[list[int]]:
        """The successors of every node."""
        after: list[list[int]] = [[] for _ in self.words]
        for source, target in self.edges:
            after[source].append(target)
        return after


def functions(path: Path) -> Iterator[Function]:
    """The functions and methods of a file, nested ones included.

    SyntaxError where the file can't be parsed; functions that are nested too deeply are skipped
    with a DataWarning.
    """
    for node in ast.walk(parse(path)):
        if isinstance(node, FUNCTIONS):
            reader = Reader()
            try:
                reader.function(node)
            except RecursionError:
                message = f"skipped {path}, line {node.lineno}: nested too deep"
                warnings.warn(message, sn.DataWarning, stacklevel=2)
                continue
            uses = [use for use in reader.uses if use.name not in RECEIVERS]
            yield Function(path, reader.words, reader.edges, uses)
