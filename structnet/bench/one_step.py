"""Rows of suite `cpu`: one step of one sequence, as an agent or a stream takes it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from structnet.bench.rows import Mark
from structnet.bench.stopwatch import measure
from structnet.bench.workload import Figures, Setting
from structnet.nn.rnn import RNN

# A single step is too short to be timed.
STEPS = 50


@dataclass(frozen=True)
class OneStep:
    """One step, without gradients, of an `sn.RNN` and of its stepper beside torch's LSTM.

    Arguments:
        cell: its name and options.
        size: of the input and of the states.
        limit: of our time divided by that of torch's LSTM.
    """

    cell: Mapping[str, Any]
    size: int = 64
    limit: float = 1.5

    def measure(self, row: str, setting: Setting) -> tuple[list[Mark], Figures]:
        size = max(1, round(self.size * setting.scale))
        torch.manual_seed(setting.seed)
        options = {key: value for key, value in self.cell.items() if key != "name"}
        ours = RNN(self.cell["name"], size, size, **options).to(setting.device).eval()
        theirs = nn.LSTM(size, size).to(setting.device).eval()
        x = torch.randn(1, 1, size, device=setting.device)
        stepper = ours.stepper()
        # The stepper goes on from a state.
        given = torch.zeros(1, 1, size, device=setting.device)
        runs = {
            "RNN": lambda: ours(x),
            "nn.LSTM": lambda: theirs(x),
            "stepper": lambda: stepper.push(x[0]),
            "nn.LSTM from a state": lambda: theirs(x, (given, given)),
        }
        often = {name: _often(step) for name, step in runs.items()}
        times = measure(often, setting.repeats, setting.device)
        each = {name: 1e6 * one.median_s / STEPS for name, one in times.items()}
        pairs = ("RNN", "nn.LSTM"), ("stepper", "nn.LSTM from a state")
        marks = [
            Mark(
                row,
                f"{name} / {beside}",
                each[name] / each[beside],
                self.limit,
                f"{each[name]:.0f} / {each[beside]:.0f} us",
            )
            for name, beside in pairs
        ]
        return marks, {"times": {name: one._asdict() for name, one in times.items()}}


def _often(step: Callable[[], Any]) -> Callable[[], None]:
    """`STEPS` steps."""

    @torch.no_grad()
    def run() -> None:
        for _ in range(STEPS):
            step()

    return run
