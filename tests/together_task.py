"""A task for tests of several processes: made-up sequences, with faults in one process if asked."""

import os
import time

import numpy as np

import structnet as sn


@sn.tasks.register("together")
class Together(sn.Task):
    """Whether the numbers of a sequence have a positive sum; one sample in 30 is of a kind.

    Arguments:
        fault: what goes wrong: "nan" for a number in a training sample, "data" for other data and
            "load" for an error in the process of rank 1; "" for nothing.
        slow: seconds that every batch of training takes longer.
    """

    structures, input_size, classes, kinds = ("sequence",), 3, ("minus", "plus"), ("often", "rare")

    def __init__(self, *, fault: str = "", slow: float = 0.0):
        self.fault, self.slow = fault, slow

    def load(self, topology):
        is_second = os.environ.get("RANK") == "1"
        if self.fault == "load" and is_second:
            raise FileNotFoundError("no numbers.txt here")
        random = np.random.default_rng(1 if self.fault == "data" and is_second else 0)
        counts = {"train": 120, "validation": 31, "test": 29}
        splits = {name: [self._sample(random) for _ in range(n)] for name, n in counts.items()}
        splits["validation"][3] = self._sample(random, kind=1)
        if self.fault == "nan":
            splits["train"][7].x[0] = np.nan
        return splits

    def prepare(self, net, batch, states, done):
        time.sleep(self.slow)
        return batch

    def _sample(self, random, kind=0):
        x = random.normal(size=(int(random.integers(1, 30)), 3)).astype(np.float32)
        return sn.Sample(len(x), x, int(x.sum() > 0), kind)
