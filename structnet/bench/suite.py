"""The suites: compositions by name, whose times have limits."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from structnet.bench.field import Field
from structnet.bench.neighbours import Neighbours
from structnet.bench.one_step import OneStep
from structnet.bench.rows import (
    Beside,
    Growth,
    Mark,
    Memory,
    PerSample,
    Planning,
    Ratios,
    Row,
)
from structnet.bench.scale import SCALE
from structnet.bench.trained import Trained
from structnet.bench.vocabulary import VOCABULARIES
from structnet.bench.workload import Figures, Setting, Work
from structnet.data.synthetic import SizeRange
from structnet.execute.executor import find
from structnet.registry import executors
from structnet.registry.suggest import did_you_mean


class PlainCell(nn.Module):
    """A custom cell in 12 lines of plain PyTorch, without structnet's base class."""

    def __init__(self, input_size: int, hidden_size: int, arity: int | None):
        super().__init__()
        self.state_sizes = (hidden_size,)
        self.input = nn.Linear(input_size, 2 * hidden_size)
        self.own = nn.Linear((arity or 1) * hidden_size, 2 * hidden_size, bias=False)

    def project(self, x: Tensor) -> Tensor:
        return self.input(x)

    def forward(self, z: Tensor, h: Tensor) -> Tensor:
        gate, new = (z + self.own(h.flatten(1))).chunk(2, dim=1)
        return torch.lerp(h.mean(1), new.tanh(), gate.sigmoid())


TREE = {"name": "tree"}
CHAIN = {"name": "chain"}
LSTM = {"name": "lstm"}
EQUAL: dict[str, Any] = {
    "sizes": SizeRange(64, 64),
    "batch": 64,
    "input_size": 256,
    "hidden_size": 256,
}
LOOP = "loop over time"
# Where both call the same kernel, a difference below this is noise.
NO_SLOWER = 1.05


def _same_as_torch(cell: Mapping[str, Any], module: str, limit: float = NO_SLOWER) -> Ratios:
    work = Work(CHAIN, cell, **EQUAL, kernels=True)
    return Ratios(work, {f"nn.{module} padded": limit}, ("torch",))


def _variant(cell: Mapping[str, Any], **options: Any) -> Ratios:
    work = Work(CHAIN, cell, **EQUAL, **options)
    return Ratios(work, {"floor": 2.0})


def _beside(cell: Any, limit: float, batch: int = 8, steps: int = 64) -> Beside:
    """A layer of 64 units beside torch's LSTM of the same size."""
    size = SizeRange(steps, steps)
    work = Work(CHAIN, cell, size, batch, input_size=64, hidden_size=64)
    return Beside(work, replace(work, cell=LSTM), "nn.LSTM padded", limit)


def _scan(cell: str, **options: Any) -> Ratios:
    sizes: dict[str, Any] = {
        "sizes": SizeRange(4096, 4096),
        "batch": 8,
        "input_size": 64,
        "hidden_size": 64,
    }
    return Ratios(Work(CHAIN, {"name": cell}, **sizes, **options), {LOOP: 1 / 10}, ("loop",))


def _growth(cell: str) -> Growth:
    return Growth(Work(CHAIN, {"name": cell}, input_size=64, hidden_size=64))


CPU: dict[str, Row] = {
    "tree-20": Ratios(Work(TREE, LSTM, hidden_size=150), {"floor": 1.6}),
    "tree-10-60": Ratios(
        Work(TREE, LSTM, SizeRange(10, 60), batch=256, hidden_size=256), {"floor": 1.4}
    ),
    "childsum-ewt": Ratios(
        Work(
            {"name": "tree", "arity": None},
            LSTM,
            hidden_size=150,
            dependency_nodes=4096,
        ),
        {"floor": 2.0},
    ),
    "chain-lstm": _same_as_torch(LSTM, "LSTM"),
    "chain-gru": _same_as_torch({"name": "gru"}, "GRU"),
    "chain-elman": _same_as_torch({"name": "elman"}, "RNN"),
    "chain-ragged": Ratios(
        Work(CHAIN, LSTM, **{**EQUAL, "sizes": SizeRange(4, 64)}),
        {"nn.LSTM packed": 0.5, "nn.LSTM padded": 1.0},
        ("torch",),
    ),
    "chain-peephole": _variant({"name": "lstm", "peephole": True}),
    "chain-layer-norm": _variant({"name": "lstm", "layer_norm": True}),
    "chain-coupled": _variant({"name": "lstm", "coupled": True}),
    "chain-zoneout": _variant(LSTM, zoneout=0.1),
    "chain-mut1": _variant({"name": "mut1"}),
    "chain-gru-before": _variant({"name": "gru", "reset": "before"}),
    "small-peephole": _beside({"name": "lstm", "peephole": True}, 2.0),
    "small-layer-norm": _beside({"name": "lstm", "layer_norm": True}, 2.0),
    "small-gru-before": _beside({"name": "gru", "reset": "before"}, 2.0),
    "small-mut1": _beside({"name": "mut1"}, 2.0),
    "small-custom": _beside(PlainCell, 2.0),
    "long-peephole": _beside({"name": "lstm", "peephole": True}, 1.2, batch=256, steps=365),
    "step-lstm": OneStep(LSTM),
    "step-gru": OneStep({"name": "gru"}),
    "step-peephole": OneStep({"name": "lstm", "peephole": True}),
    "step-gru-before": OneStep({"name": "gru", "reset": "before"}),
    "step-mlstm": OneStep({"name": "mlstm"}),
    "step-peephole-1024": OneStep({"name": "lstm", "peephole": True}, 1024),
    "custom-chain": Ratios(Work(CHAIN, PlainCell, **EQUAL), {"floor": 2.5}),
    "custom-tree": Ratios(Work(TREE, PlainCell, hidden_size=150), {"floor": 2.5}),
    "grid-diagonal": Ratios(
        Work({"name": "diagonal"}, LSTM, SizeRange(28, 28), 16, 64, 64),
        {"floor": 2.0, "skewed convolutions": 1 / 5, "skewed loop": 1 / 5},
        ("loop",),
    ),
    "scan-mingru": _scan("mingru"),
    "scan-minlstm": _scan("minlstm"),
    "scan-ssm": _scan("ssm"),
    "scan-zoneout": _scan("mingru", zoneout=0.1),
    "linear-mingru": _growth("mingru"),
    "linear-minlstm": _growth("minlstm"),
    "linear-ssm": _growth("ssm"),
    "dag-1m": Memory(
        Work(
            {"name": "graph"},
            LSTM,
            SizeRange(1_000_000, 1_000_000),
            batch=1,
            input_size=64,
            hidden_size=64,
            save="recompute",
        )
    ),
    "neighbours": Neighbours(
        Work(TREE, LSTM, SizeRange(16, 16), batch=32, hidden_size=128), {4: 3.0, 6: 4.5}
    ),
    "planning": Planning(Work(TREE, LSTM, hidden_size=150)),
    "train-default": Trained(),
}
# Ten times the published speed of message passing on a V100, 2,690 trees per second.
TREES = Work(TREE, LSTM, batch=256, hidden_size=256)
US_PER_TREE = 1e6 / 26_900
CUDA: dict[str, Row] = {
    "chain-lstm": _same_as_torch(LSTM, "LSTM", 1.1),
    "chain-gru": _same_as_torch({"name": "gru"}, "GRU", 1.1),
    "chain-elman": _same_as_torch({"name": "elman"}, "RNN", 1.1),
    "tree-compiled": PerSample(replace(TREES, executor="compiled"), US_PER_TREE),
    "tree-batched": PerSample(replace(TREES, executor="batched"), None),
    "custom-chain": Beside(
        Work(CHAIN, PlainCell, **EQUAL, executor="compiled"),
        Work(CHAIN, LSTM, **EQUAL),
        "nn.LSTM padded",
        3,
    ),
}
# Executors of plugins that are made for GPUs.
for _name in executors.names():
    if find(_name).needs_gpu:
        CUDA[f"chain-{_name}"] = Ratios(
            Work(CHAIN, LSTM, **EQUAL, executor=_name), {"nn.LSTM padded": None}, ("torch",)
        )
        CUDA[f"tree-{_name}"] = PerSample(replace(TREES, executor=_name), US_PER_TREE)
HEADS: dict[str, Row] = {**VOCABULARIES, "crf-50": Field(50, 0.3)}
SUITES = {"cpu": CPU, "cuda": CUDA, "scale": SCALE, "heads": HEADS}


def run_suite(
    name: str, rows: Sequence[str], setting: Setting, say: Callable[[str], Any]
) -> Iterator[tuple[str, list[Mark], Figures]]:
    """Measure rows of a suite: name, marks and figures of each.

    Arguments:
        name: of the suite.
        rows: their names; empty for all.
        setting: how to measure.
        say: called with the name of every row before it is measured.
    """
    if name not in SUITES:
        raise ValueError(f"no suite {name!r} {did_you_mean(name, SUITES)}")
    suite = SUITES[name]
    for row in rows:
        if row not in suite:
            raise ValueError(f"no row {row!r} of suite {name!r} {did_you_mean(row, suite)}")
    for row in rows or suite:
        say(row)
        yield row, *suite[row].measure(row, setting)
