"""Data-flow graphs of Python functions, built with ast.

A node is a value: a parameter, a variable's definition, the use of one, an operation, a call, a
literal, or a statement that takes a value, such as return. An edge leads from a value to what is
made of it; a use follows all definitions that may reach it. A loop's body is read once, so that
nothing flows back into it and the graph is acyclic; nodes are numbered in an order of their flow.
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
    """The data flow of a function: every node's words, edges (source, target), and its uses.

    Uses of `self` and `cls` are left out.
    """

    path: Path
    words: list[Words]
    edges: list[tuple[int, int]]
    uses: list[Use]

    @cached_property
    def before(self) -> list[list[int]]:
        """The nodes whose values every node takes."""
        before: list[list[int]] = [[] for _ in self.words]
        for source, target in self.edges:
            before[target].append(source)
        return before

    @cached_property
    def after(self) -> list[list[int]]:
        """The nodes that take every node's value."""
        after: list[list[int]] = [[] for _ in self.words]
        for source, target in self.edges:
            after[source].append(target)
        return after


def functions(path: Path) -> Iterator[Function]:
    """The functions and methods of a file, nested ones as well.

    SyntaxError where the file can't be parsed; a function that is nested too deep is passed over
    with a warning.
    """
    for node in ast.walk(parse(path)):
        if isinstance(node, FUNCTIONS):
            reader = Reader()
            try:
                reader.function(node)
            except RecursionError:
                message = f"passed over {path}, line {node.lineno}: nested too deep"
                warnings.warn(message, sn.DataWarning, stacklevel=2)
                continue
            uses = [use for use in reader.uses if use.name not in RECEIVERS]
            yield Function(path, reader.words, reader.edges, uses)
