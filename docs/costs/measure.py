"""What a node costs with each built-in cell on chains, trees and graphs: docs/costs/costs.json.

    OMP_NUM_THREADS=1 python docs/costs/measure.py [repeats=5] [cells=lstm,gru]
        [topologies=chain,tree,graph] [out=docs/costs/costs.json]

A batch is 64 structures of 50 nodes (trees: 49), with 128 inputs and 128 hidden units, in float32
on one thread. Microseconds per node, median and quartiles, of the forward pass without gradients
and of a training step, forward and backward. In one comparison take turns: executor `batched`,
executor `auto` as after its first 50,000 levels, torch.nn.LSTM on chains of as many steps, and
the matrix products of the step alone (the floor). Before that, two processes compile all layers
into the cache that STRUCTNET_CACHE names. Cells and topologies that are not measured keep what the
file has of them.
"""

import datetime
import gc
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

import structnet as sn
from structnet.bench.rivals import ours, rivals
from structnet.bench.stopwatch import measure
from structnet.bench.tables import machine
from structnet.bench.workload import Work
from structnet.data.synthetic import SizeRange
from structnet.nn.floor import Floor

HERE = Path(__file__).parent
# Steps of a chain, leaves of a binary tree, nodes of a graph.
SIZES = {"chain": 50, "tree": 25, "graph": 50}
BATCH, UNITS = 64, 128
EXECUTORS = "batched", "auto"
BUDGET_S = 0.5
LSTM = "nn.LSTM"


def built_in():
    """The names of the library's own cells."""
    return [n for n in sn.cells.names() if sn.cells[n].__module__.startswith("structnet.")]


def case_of(topology, cell):
    """A layer of a cell, and its batch."""
    size = SizeRange(SIZES[topology], SIZES[topology])
    work = Work({"name": topology}, {"name": cell}, size, BATCH, UNITS, UNITS)
    return work.build(0, "cpu")


def compiled(topology, cell):
    """Compile a layer, which the cache keeps."""
    torch.set_num_threads(1)
    for run in runs_of("auto", ours(case_of(topology, cell))).values():
        run()


def compile_all(cells, topologies):
    """Compile in two processes."""
    pairs = [(topology, cell) for cell in cells for topology in topologies]
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        list(pool.map(compiled, *zip(*pairs, strict=True)))


def runs_of(name, contender):
    """A contender's forward pass without gradients, and its step."""

    def forward():
        with torch.no_grad():
            contender.forward()

    return {f"{name} forward": forward, f"{name} step": contender.step}


def torch_lstm():
    """torch.nn.LSTM on padded chains, and the number of its nodes."""
    return next(iter(rivals(case_of("chain", "lstm"), ["torch"])))


def measured(topology, cell, lstm, repeats):
    """Contender -> forward and step, each the median and both quartiles in us per node."""
    case = case_of(topology, cell)
    nodes = {**dict.fromkeys((*EXECUTORS, "floor"), case.plans[0].num_nodes), LSTM: lstm.nodes}
    runs = {"floor step": Floor(list(case.layer.cells), case.plans, case.layer.input_sizes).prepare(
        case.x.detach())}  # fmt: skip
    for executor in EXECUTORS:
        runs |= runs_of(executor, ours(case, executor))
    runs |= runs_of(LSTM, lstm)
    found = {}
    for name, one in measure(runs, repeats, budget_s=BUDGET_S).items():
        name, _, part = name.rpartition(" ")
        us = [round(1e6 * s / nodes[name], 2) for s in (one.median_s, one.low_s, one.high_s)]
        found.setdefault(name, {})[part] = us
    return found


def options(words):
    """The words KEY=VALUE, over the defaults."""
    found = {"repeats": "5", "cells": ",".join(built_in()), "topologies": ",".join(SIZES),
             "out": str(HERE / "costs.json")}  # fmt: skip
    for word in words:
        key, equals, value = word.partition("=")
        if key not in found or not equals:
            raise SystemExit(f"no option {word!r} among {', '.join(found)}")
        found[key] = value
    return found


def write(out, rows, repeats, seconds):
    """The file: what was measured, when and on what."""
    about = {
        "date": datetime.date.today().isoformat(),
        "command": " ".join(["OMP_NUM_THREADS=1 python docs/costs/measure.py", *sys.argv[1:]]),
        "structnet": sn.__version__,
        "machine": machine("cpu"),
        "repeats": repeats,
        "seconds": round(seconds),
        "batch": BATCH,
        "units": UNITS,
        "sizes": SIZES,
    }
    lines = [f" {json.dumps(name)}: {json.dumps(row)}" for name, row in sorted(rows.items())]
    out.write_text(f'{json.dumps(about)[:-1]},\n"cells": {{\n' + ",\n".join(lines) + "\n}}\n")


def main(words):
    chosen, start = options(words), time.monotonic()
    torch.set_num_threads(1)
    out, repeats = Path(chosen["out"]), int(chosen["repeats"])
    rows = json.loads(out.read_text())["cells"] if out.exists() else {}
    cells, topologies = (chosen[key].split(",") for key in ("cells", "topologies"))
    compile_all(cells, topologies)
    print(f"{time.monotonic() - start:5.0f} s all compiled", flush=True)
    lstm = torch_lstm()
    for cell in cells:
        for topology in topologies:
            rows.setdefault(cell, {})[topology] = measured(topology, cell, lstm, repeats)
            gc.collect()
        print(f"{time.monotonic() - start:5.0f} s {cell}", flush=True)
        write(out, rows, repeats, time.monotonic() - start)


if __name__ == "__main__":
    main(sys.argv[1:])
