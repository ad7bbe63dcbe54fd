"""test: the test figures of a run again."""

import json
from pathlib import Path

from structnet.words import take_options


def test(words: list[str]) -> int:
    options = take_options(words, required=("run",))
    from structnet.config import saved
    from structnet.report import print_table
    from structnet.run import Run
    from structnet.train import evaluate

    run = Run.compose(saved(options["run"]), Path(options["run"]))
    net = run.load_net()
    file = run.directory / "metrics.json"
    metrics = json.loads(file.read_text()) if file.is_file() else {}
    metrics["test"] = evaluate(run, net, run.task.load(run.topology)["test"])
    print_table(run, metrics)
    return 0
