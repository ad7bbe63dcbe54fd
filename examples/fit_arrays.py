"""Series in a pandas frame, in long format: a class each, trained and predicted in Python."""

import tempfile

import numpy as np
import pandas as pd

import structnet as sn

random = np.random.default_rng(0)
parts = []
for number in range(200):
    steps = int(random.integers(4, 12))
    slope = random.choice([-1.0, 1.0])
    values = {"a": slope * np.arange(steps) + random.normal(size=steps), "b": 1.0}
    parts.append(pd.DataFrame({"id": number, **values, "label": "up" if slope > 0 else "down"}))
frame = pd.concat(parts)


def rows(frame):
    return [(len(g), g[["a", "b"]], g["label"].iloc[0]) for _, g in frame.groupby("id")]


with tempfile.TemporaryDirectory() as folder:
    trainer = {"max_epochs": 5, "batch_nodes": 256, "num_workers": 0}
    run = sn.fit(rows(frame), {"hidden_size": 16}, trainer=trainer, run=folder)
    found = sn.Run.load(folder).predict(rows(frame[frame["id"] < 5]))
    print(found.classes, found.probability.round(3))
