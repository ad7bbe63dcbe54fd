"""The gated-cell library. `sn.cells` is this module: the registry's door is its functions."""

from structnet.cells.cell import Cell
from structnet.cells.elman import Elman
from structnet.cells.gru import GRU
from structnet.cells.lstm import LSTM
from structnet.registry import cells

register = cells.register
create = cells.create
names = cells.names
options = cells.options

__all__ = ["GRU", "LSTM", "Cell", "Elman", "create", "names", "options", "register"]
