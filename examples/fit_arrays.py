"""Fit a net to series in a pandas frame
=====================================

The frame is in long format, a row per step of a series; every series is a row ``(length, features,
class)`` for ``sn.fit``, which trains as ``structnet train`` does.
"""

import tempfile

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

import structnet as sn

random, parts = np.random.default_rng(0), []
for number in range(200):
    steps = int(random.integers(4, 12))
    slope = random.choice([-0.5, 0.5])
    values = slope * np.arange(steps) + random.normal(size=steps)
    parts.append(pd.DataFrame({"id": number, "a": values, "label": "up" if slope > 0 else "down"}))
frame = pd.concat(parts)
rows = [(len(g), g[["a"]], g["label"].iloc[0]) for _, g in frame.groupby("id")]

with tempfile.TemporaryDirectory() as folder:
    trainer = {"max_epochs": 5, "num_workers": 0, "learning_rate": 0.01}
    run = sn.fit(rows, {"hidden_size": 16}, trainer=trainer, run=folder)
    found = sn.Run.load(folder).predict(rows)

_, axes = plt.subplots(figsize=(4.5, 3.2), layout="constrained")
for part, name in zip(parts[:40], found.classes[:40], strict=True):
    axes.plot(part["a"].to_numpy(), color="tab:red" if name == "up" else "tab:blue", alpha=0.5)
axes.set(title="Series by predicted class: up red, down blue", xlabel="step", ylabel="value")
plt.show()
