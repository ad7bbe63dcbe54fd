"""Cells: the gate algebra that they are written in; `library` has a cell a file."""
