"""The gated-cell library. `sn.cells` is this module: the registry's door is its functions.

Every module of this folder is imported, so that a cell is one file and nothing else.
"""

import importlib
import pkgutil

from structnet.cells.cell import Cell
from structnet.cells.linear import LinearCell
from structnet.cells.slots import counting
from structnet.registry import cells

register = cells.register
create = cells.create
names = cells.names
options = cells.options

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["Cell", "LinearCell", "counting", "create", "names", "options", "register"]
