"""The library where torch, numpy and what torch itself needs are all that can be imported."""

import pytest
from commands import run_python

# The distributions that torch and numpy require, as their metadata says; all others are hidden.
BLOCK = """
import sys
from importlib import metadata
from importlib.machinery import PathFinder
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

open_, there = ["torch", "numpy"], {"structnet"}
while open_:
    name = canonicalize_name(open_.pop())
    if name not in there:
        there.add(name)
        needed = map(Requirement, metadata.requires(name) or ())
        open_ += [one.name for one in needed if not one.marker or one.marker.evaluate()]
owners = metadata.packages_distributions()


class TorchAlone(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        found = owners.get(name.split(".")[0])
        if found and not there & set(map(canonicalize_name, found)):
            return None
        return PathFinder.find_spec(name, path, target)


for name in [name for name in sys.modules if name.split(".")[0] == "packaging"]:
    del sys.modules[name]
sys.meta_path = [TorchAlone if one is PathFinder else one for one in sys.meta_path]
for name in ("hydra", "lightning", "sklearn", "scipy", "safetensors", "yaml", "PIL", "nltk"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    raise SystemExit(f"{name} can be imported")
"""
USE = """
import warnings

warnings.simplefilter("error")
import torch

import structnet as sn

structures = {"chain": [3, 2], "bichain": [3, 2], "tree": [[[-1, -1], [-1, -1], [0, 1]]],
              "row": [(2, 3)]}
for topology, samples in structures.items():
    for cell in ("lstm", "gru"):
        layer = sn.Recurrence(topology, cell, input_size=3, hidden_size=4)
        plans = layer.topology.plan(samples)
        x = torch.randn(plans[0].num_nodes, 3, requires_grad=True)
        h = layer(x, plans)
        h.square().sum().backward()
        assert h.shape == (len(x), 4 * len(plans)) and x.grad.abs().sum() > 0
        close = torch.allclose(h, layer(x, plans, executor="reference"), atol=1e-5)
        assert close, topology
rnn = sn.RNN("lstm", 3, 4, num_layers=2, bidirectional=True, dropout=0.1)
out, (h, c) = rnn(torch.randn(5, 2, 3))
out.sum().backward()
assert out.shape == (5, 2, 8) and h.shape == c.shape == (4, 2, 4)
assert all(one.grad is not None for one in rnn.parameters())
edges = sn.Edges([[0, 0, 1], [1, 2, 2]], 3)
closure = sn.ancestors(edges, [2])
assert len(closure.nodes) == 3
assert sn.tasks.names() and sn.nets.names()
"""


def test_layers_run_where_only_torch_and_numpy_are_installed(tmp_path):
    done = run_python("-c", BLOCK + USE, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", [["train"], ["list"], ["draw", "topology=tree"], ["bench"]])
def test_a_command_says_what_to_install(words, tmp_path):
    call = f"import structnet.cli.main as cli; sys.exit(cli.main({words}))"
    done = run_python("-c", BLOCK + call, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "is not installed" in done.stderr and "pip install structnet" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["train", "--help"]])
def test_help_needs_nothing(words, tmp_path):
    call = f"import structnet.cli.main as cli; sys.exit(cli.main({words}))"
    done = run_python("-c", BLOCK + call, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
