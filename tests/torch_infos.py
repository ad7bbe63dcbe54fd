"""torch's descriptions of its own recurrent modules, from its test suite."""

import importlib.util
import sys
import types
import unittest

import torch
from torch import nn

CELLS = {nn.RNN: "elman", nn.GRU: "gru", nn.LSTM: "lstm"}


def _import_infos():
    # torch's suite derives its test case from expecttest's; nothing here uses it.
    if importlib.util.find_spec("expecttest") is None:
        stand_in = types.ModuleType("expecttest")
        stand_in.TestCase, stand_in.ACCEPT = unittest.TestCase, False
        sys.modules["expecttest"] = stand_in
    from torch.testing._internal import common_modules

    # Importing it freezes flags that tests of ours set.
    own = torch.backends.flags_frozen.__globals__
    own["__allow_nonbracketed_mutation_flag"] = True
    assert not torch.backends.flags_frozen()
    return common_modules


_MODULES = _import_infos()
AT_CONSTRUCTION = _MODULES.ModuleErrorEnum.CONSTRUCTION_ERROR
INFOS = [info for info in _MODULES.module_db if info.module_cls in CELLS]
