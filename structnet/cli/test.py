"""test: the test figures of a run's net, on its own data or on other data."""

from pathlib import Path

from structnet.system.words import take_options


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
