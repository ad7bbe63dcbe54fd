"""The command line called in this process, and small data to call it on."""

import json
import os
import sys
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import pytest

from structnet import registry
from structnet.main import main

ROOT = Path(__file__).parents[1]
DATA = os.environ.get("STRUCTNET_DATA")
SST = Path(DATA or ".", "sst", "trees")
needs_sst = pytest.mark.skipif(
    DATA is None or not (SST / "train.txt").is_file(),
    reason="STRUCTNET_DATA names no folder with sst/trees/train.txt",
)
SMALLEST = ("net.embedding_size=4", "net.hidden_size=4", "trainer.num_workers=0", "trainer.accelerator=cpu")
