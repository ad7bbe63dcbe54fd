"""A trained net without torch
===========================

A Tree-LSTM learns the mean of a tree's nodes. ``structnet export run=DIR out=FOLDER`` writes it as
ONNX files and a program that runs them by onnxruntime, here over 300 trees, as torch runs the net.
"""

import sys
import tempfile

import matplotlib.pyplot as plt
import numpy as np

import structnet as sn
from structnet.cli.main import main as structnet

random, rows = np.random.default_rng(0), []
for size in random.integers(20, size=900) * 2 + 1:
    children = [[2 * i + 1, 2 * i + 2] if 2 * i + 2 < size else [-1, -1] for i in range(size)]
    x = random.normal(size=(size, 1))
    rows.append((children, x, float(x.mean())))
with tempfile.TemporaryDirectory() as folder:
    trainer = {"max_epochs": 4, "learning_rate": 0.02, "num_workers": 0}
    run = sn.fit(rows[300:], {"hidden_size": 32}, trainer=trainer, run=f"{folder}/run", quiet=True)
    structnet(["export", f"run={folder}/run", f"out={folder}/model", "--verify", "20"])
    sys.path.insert(0, f"{folder}/model")
    from runtime import Model
    from samples import entering

    model = Model(f"{folder}/model")
    trees = [{"predecessors": {"up": c}, "features": x.tolist()} for c, x, _ in rows[:300]]
    plans, given = entering(trees, model.about)
    found = model.run(plans, **given)
difference = np.abs(found - run.predict(rows[:300]).values)
truth = np.array([mean for *_, mean in rows[:300]])
print(f"error {np.abs(found - truth).mean():.3f}, of 0 as prediction {np.abs(truth).mean():.3f}")
print(f"largest difference from torch {difference.max():.1e}")
plt.hist(1e7 * difference, bins=30)
plt.gca().set(title="onnxruntime beside torch", xlabel="difference, 1e-7", ylabel="trees")
plt.show()
