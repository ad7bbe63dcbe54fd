"""test: the test figures of a run's net, on its own data or on other data."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from structnet import DataWarning
from structnet.system.words import take_options

# Options that say what data are read, and those by which they are split.
SOURCES = ("root", "train", "validation", "test", "corpus", "data")
SPLITTING = ("seed", "folds", "fold", "fractions", "stratify", "by_time", "group", "split_column")


def run(words: list[str]) -> int:
    data = [word for word in words if word.startswith("task.")]
    others = [word for word in words if word not in data]
    options = take_options(others, required=("run",), also=("task.root",))
    from structnet.config.composing import override, saved
    from structnet.run.run import Run
    from structnet.training.report import print_table
    from structnet.training.samples import load_samples, warn_of_run
    from structnet.training.trainer import evaluate

    trained = config = saved(options["run"])
    if data:
        config = override(config, data, "task")
    changed = config["task"] != trained["task"]
    _warn_of_split(config["task"], trained["task"])
    run = Run.compose(config, Path(options["run"]))
    net = run.load_net()
    # The baselines were measured on the run's own data.
    metrics = {} if changed else run.read_metrics()
    samples = load_samples(run)["test"]
    warn_of_run(run, samples, "the test split")
    metrics["test"] = evaluate(run, net, samples)
    print_table(run, metrics)
    if changed:
        print(f"with {', '.join(data)}, unlike in the training of {run.directory}")
    return 0


def _warn_of_split(now: Mapping[str, Any], trained: Mapping[str, Any]) -> None:
    """A DataWarning where the same data is split in another way than in training."""
    other = [name for name in SPLITTING if now.get(name) != trained.get(name)]
    if other and all(now.get(name) == trained.get(name) for name in SOURCES):
        warnings.warn(
            f"task.{other[0]} splits the data in another way than in training: what is tested on "
            "here was in part trained on; give other data, or leave it out",
            DataWarning,
            stacklevel=2,
        )
