"""The row `crf-50` of suite `heads`: what a conditional random field adds to a tagger's step."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from structnet.bench.rows import Mark
from structnet.bench.stopwatch import measure
from structnet.bench.workload import Figures, Setting
from structnet.data.batch import Batch, Sample, collate
from structnet.data.cross_entropy import cross_entropy
from structnet.data.synthetic import SizeRange
from structnet.nn.sizes import Sizes
from structnet.registry import nets, topologies

# The words of most sentences of a treebank.
LENGTHS = SizeRange(5, 45)
PLAIN, FIELD = "softmax", "crf"


@dataclass(frozen=True)
class Field:
    """A training step of a tagger with a conditional random field, and with a softmax.

    A step is an LSTM in both directions on random features, the loss and all gradients.

    Arguments:
        tags: the number of classes.
        limit: of the field's share of its step: the time that it adds, divided by all of it.
        lengths: of the sentences.
        sentences: the number of sentences in a batch.
        input_size, hidden_size, layers: of the tagger.
    """

    tags: int
    limit: float
    lengths: SizeRange = LENGTHS
    sentences: int = 32
    input_size: int = 256
    hidden_size: int = 192
    layers: int = 2

    def measure(self, row: str, setting: Setting) -> tuple[list[Mark], Figures]:
        tags = max(2, round(self.tags * setting.scale))
        batch = self._batch(tags, setting)
        steps = {name: self._step(name, tags, batch, setting) for name in (PLAIN, FIELD)}
        times = measure(steps, setting.repeats, setting.device)
        plain, field = (times[name].median_s for name in (PLAIN, FIELD))
        note = f"{tags} tags, {1e3 * field:.0f} ms, {1e3 * plain:.0f} ms with a softmax"
        figures = {name: times[name]._asdict() for name in steps}
        marks = [Mark(row, "crf, share of a step", 1 - plain / field, self.limit, note)]
        return marks, {"tags": tags, "words": batch.num_nodes, "heads": figures}

    def _batch(self, tags: int, setting: Setting) -> Batch:
        random = np.random.default_rng(setting.seed)
        count = max(2, round(self.sentences * setting.scale))
        samples = [
            Sample(
                length,
                random.standard_normal((length, self.input_size), np.float32),
                random.integers(tags, size=length),
            )
            for length in self.lengths.draw(count, random)
        ]
        return collate(samples, topologies.create("bichain")).to(torch.device(setting.device))

    def _step(
        self, head: str, tags: int, batch: Batch, setting: Setting
    ) -> Callable[[], tuple[torch.Tensor, ...]]:
        torch.manual_seed(setting.seed)
        net: Any = nets.create(
            "stack", Sizes(None, self.input_size, tags), "bichain", "lstm", "every", head,
            hidden_size=self.hidden_size, num_layers=self.layers, dropout=0.0,
        )  # fmt: skip
        weights = list(net.to(setting.device).parameters())
        return lambda: torch.autograd.grad(cross_entropy(net(batch), batch.y), weights)
