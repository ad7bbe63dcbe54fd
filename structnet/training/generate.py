"""Samples that a trained net generates."""

from collections.abc import Mapping
from keyword import iskeyword
from typing import Any

from structnet.registry.option_types import read
from structnet.registry.signature import check_options, read_options
from structnet.registry.suggest import did_you_mean
from structnet.run.run import Run


def generate(run: Run, words: Mapping[str, str]) -> Any:
    """Generate samples with the run's net; what they are is told by the task's `generates`.

    Arguments:
        run: its task generates.
        words: options of the task's `generate`, as they were typed. One that is a Python keyword,
            such as class, is the argument `class_`.
    """
    name = run.config["task"]["name"]
    if run.task.generate is None:
        raise ValueError(
            f"nothing to generate: the net of task {name!r}, as it is configured, makes no "
            "samples; train one that predicts its input, such as task=digits or task=text"
        )
    known = {
        option.rstrip("_"): kind
        for option, (kind, _) in read_options(run.task.generate, "generate").items()
    }
    for key in words:
        if key not in known:
            choices = [*known, "run", "out"]
            raise ValueError(f"no option {key!r} {did_you_mean(key, choices)}")
    options = {
        f"{key}_" if iskeyword(key) else key: read(value, known[key])
        for key, value in words.items()
    }
    check_options(run.task.generate, options, f"generate with task {name!r}")
    return run.task.generate(run.load_net(), run.topology, **options)
