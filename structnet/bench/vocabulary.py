"""Rows of suite `heads`: large vocabularies, their time and memory beside the full softmax."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from structnet.bench.rows import Mark, Row, too_large
from structnet.bench.stopwatch import measure, peak_bytes
from structnet.bench.workload import Figures, Setting
from structnet.data.vocabulary import Vocabulary
from structnet.nn.sizes import Sizes
from structnet.registry import heads

FULL = "softmax"


@dataclass(frozen=True)
class Words:
    """A training step of heads on random states, and on targets by Zipf's law.

    A step is the scores, the mean cross entropy and all gradients.

    Arguments:
        words: the size of the vocabulary.
        limit: of a head's time, divided by that of the full softmax.
        targets: the number of targets in a batch.
        size: the size of the states that are scored.
    """

    words: int
    limit: float | None = None
    targets: int = 1024
    size: int = 256

    def measure(self, row: str, setting: Setting) -> tuple[list[Mark], Figures]:
        words = max(64, round(self.words * setting.scale))
        targets = max(8, round(self.targets * setting.scale))
        # Scores, their gradients and the softmax are held at once, weights beside them.
        if note := too_large(4 * words * (4 * targets + 4 * self.size)):
            return [Mark(row, "step / softmax", None, self.limit, note)], {}
        steps = self._steps(words, targets, setting)
        times = measure(steps, setting.repeats, setting.device)
        peaks = {name: peak_bytes(step, setting.device) for name, step in steps.items()}
        full = times[FULL].median_s
        note = f"{1e3 * full:.0f} ms, {peaks[FULL] / 2**20:.0f} MiB"
        marks = [Mark(row, f"{FULL}, s", full, None, f"{words:,} words, {note}")]
        for name in steps:
            if name == FULL:
                continue
            time, peak = times[name].median_s, peaks[name]
            note = f"{1e3 * time:.0f} ms, {peak / 2**20:.0f} MiB"
            marks.append(Mark(row, f"{name}, step / {FULL}", time / full, self.limit, note))
            marks.append(Mark(row, f"{name}, memory / {FULL}", peak / peaks[FULL], self.limit))
        figures = {name: {**times[name]._asdict(), "peak_bytes": peaks[name]} for name in steps}
        return marks, {"words": words, "targets": targets, "heads": figures}

    def _steps(self, words: int, targets: int, setting: Setting) -> dict[str, Callable[[], Any]]:
        random = torch.Generator().manual_seed(setting.seed)
        counts = {str(rank): max(1, words // rank) for rank in range(1, words)}
        sizes = Sizes(Vocabulary(counts), None, words)
        share = 1 / torch.arange(1, words + 1, dtype=torch.float64)
        y = torch.multinomial(share, targets, replacement=True, generator=random)
        h = torch.randn(targets, self.size, generator=random)
        y, h = y.to(setting.device), h.to(setting.device).requires_grad_()
        sampled = {"samples": min(1024, words // 4)}
        made = {
            name: heads.create(name, self.size, sizes, **(sampled if name == "sampled" else {}))
            for name in (FULL, "adaptive", "sampled")
        }
        return {name: _step(head.to(setting.device), h, y) for name, head in made.items()}


def _step(head: Any, h: torch.Tensor, y: torch.Tensor) -> Callable[[], Any]:
    weights = (h, *head.parameters())

    def step() -> Any:
        output = head(h)
        if isinstance(output, torch.Tensor):
            loss = torch.nn.functional.cross_entropy(output, y)
        else:
            loss = output.cross_entropy(y).mean()
        # A cluster without targets has no gradient.
        return torch.autograd.grad(loss, weights, allow_unused=True)

    return step


VOCABULARIES: dict[str, Row] = {
    "words-10k": Words(10_000),
    "words-33k": Words(33_000, 1.0),
    "words-100k": Words(100_000, 0.5),
}
