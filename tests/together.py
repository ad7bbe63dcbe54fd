"""Calls of the command line, all in one process of those that torchrun starts.

python -m torch.distributed.run --nproc-per-node=2 tests/together.py CALLS.json: a list of lists of
words, or of "double" for a comparison of gradients. Writes what each has printed and its status
beside it, as RANK.json.
"""

import io
import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import torch

from structnet.cli.main import main
from structnet.data.cross_entropy import cross_entropy
from structnet.distributed.gradients import StepGradient
from structnet.distributed.tree_sum import share_of
from structnet.distributed.world import joined

LANES = 5


def called(words):
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = compare_gradients() if words == ["double"] else main(words)
    return {"status": status, "out": out.getvalue(), "err": err.getvalue()}


def compare_gradients():
    """Print how far the gradients of a step are from those of one batch of all its samples."""
    draw, net = torch.Generator().manual_seed(0), torch.nn.Linear(4, 3).double()
    net.unused = torch.nn.Parameter(torch.zeros(2))
    # Of the lanes' batches one has no targets, and the last lane has none.
    sizes, classes = [6, 1, 0, 9], torch.randint(0, 3, (16,), generator=draw)
    rows = torch.randn(16, 4, generator=draw, dtype=torch.float64)
    batches = list(zip(rows.split(sizes), classes.split(sizes), strict=True))
    with joined() as world:
        mine = share_of(LANES, world.rank, world.size)
        busy = [lane for lane in mine if lane < len(batches)]
        step = StepGradient(net.parameters(), LANES, busy, world, 1.0 + world.rank)
        for lane in busy:
            x, y = batches[lane]
            loss = cross_entropy(net(x), y)
            loss.backward()
            step.add(loss.detach(), torch.tensor(len(y)), 10 * len(y))
        counted = step.finish()
    found = {name: one.grad for name, one in net.named_parameters()}
    assert found.pop("unused") is None and counted.nodes == 160 and counted.wall_s == 1.0
    net.zero_grad()
    loss = cross_entropy(net(rows), classes)
    loss.backward()
    far = {name: (one - net.get_parameter(name).grad).abs().max() for name, one in found.items()}
    far["loss"] = abs(counted.loss - loss.detach())
    print(json.dumps({name: float(one) for name, one in far.items()}))
    return 0


if __name__ == "__main__":
    file, rank = Path(sys.argv[1]), os.environ["RANK"]
    found = [called(words) for words in json.loads(file.read_text())]
    file.with_name(f"{rank}.json").write_text(json.dumps(found))
