"""Cells' equations, transcribed from their papers: what the cells are compared with.

A transcription takes a cell of arity 1 and one sequence x (T, I), and gives the outputs (T, H), in
a plain loop over time. Its options are a variant of the cell, which is then also run on every
topology.
"""

import importlib
from pathlib import Path

EQUATIONS = []


def equations(name, **options):
    """Decorate the transcription of a cell with these options."""

    def add(transcription):
        EQUATIONS.append((name, options, transcription))
        return transcription

    return add


def load_equations():
    for path in sorted(Path(__file__).parent.glob("equations_*.py")):
        importlib.import_module(path.stem)
    return EQUATIONS
