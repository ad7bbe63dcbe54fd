"""train: compose, train, test and report; a sweep, a comparison, or a run that goes on."""

from pathlib import Path
from typing import Any

from structnet.registry.option_types import home
from structnet.system.terminal import visible
from structnet.system.words import command_line, take_flag, take_values


def run(words: list[str]) -> int:
    only_print = take_flag(words, "--cfg")
    multirun = take_flag(words, "-m") or take_flag(words, "--multirun")
    folders = take_values(words, "--config-dir")
    resumed = [word for word in words if word.startswith("resume=")]
    if resumed:
        words.remove(resumed[0])
        return _resume(home(resumed[0].removeprefix("resume=")), words)
    from structnet.config.compose import compose, sweep
    from structnet.config.fitting import fitting_words
    from structnet.study.compare import Comparison

    # Composed before the first one runs: a mistake in the last shows at once.
    sweeps = list(sweep(words)) if multirun else [words]
    sweeps = [[*overrides, *fitting_words(overrides, folders)] for overrides in sweeps]
    composed = [compose(overrides, folders) for overrides in sweeps]
    comparisons = [
        Comparison.compose(config, overrides, folders) if "compare" in config else None
        for overrides, config in zip(sweeps, composed, strict=True)
    ]
    if only_print:
        import yaml

        print("".join(yaml.safe_dump(config, sort_keys=False) for config in composed), end="")
        return 0
    if multirun and not any(comparisons):
        from structnet.study.sweep import Sweep

        return _sweep(Sweep.compose(sweeps, composed, folders))
    for overrides, config, comparison in zip(sweeps, composed, comparisons, strict=True):
        # The words of this run of a sweep, or those added by default.
        if multirun or overrides != words:
            dirs = [word for folder in folders for word in ("--config-dir", folder)]
            print(command_line("train", *dirs, *overrides), flush=True)
        if comparison is not None:
            _compare(comparison)
            continue
        from structnet.run.run import Run

        Run.compose(config, Path()).check()
        _train(Run.new(config), resume=None)
    return 0


def _resume(directory: str, words: list[str]) -> int:
    from structnet.cli.resume import resume
    from structnet.study.sweep import LIST, Sweep

    if directory and Path(directory, LIST).is_file():
        if words:
            raise ValueError(f"{directory} holds a sweep, which goes on as it is; got {words}")
        return _sweep(Sweep.open(directory))
    return resume(directory, words, _train)


def _sweep(sweep: Any) -> int:
    """Train and report every run of a sweep; the exit status, 1 where one has failed."""
    from structnet.training.report import print_comparison

    sweep.run(_train)
    print_comparison(*sweep.table())
    for failure in sweep.failures:
        print(f"failed: {visible(str(failure))}")
    if sweep.failures:
        print(f"{len(sweep.failures)} of {len(sweep.parts)} failed; again with: {sweep.way_on}")
    print(f"sweep: {visible(str(sweep.directory))} (sweep.json, table.md)")
    return int(bool(sweep.failures))


def _compare(comparison: Any) -> None:
    from structnet.study.ranking import differences, table
    from structnet.training.report import print_comparison

    directory, summary = comparison.run(lambda run: _finish(run, resume=None))
    print_comparison(*table(summary))
    print(*differences(summary), sep="\n")
    print(f"comparison: {visible(str(directory))} (table.md, table.json, and a run each)")


def _train(run: Any, resume: Any) -> None:
    """Train, test and report a run."""
    from structnet.training.constant import verdict
    from structnet.training.report import print_table

    metrics = _finish(run, resume)
    here = f"run={run.directory}"
    print_table(run, metrics)
    if said := verdict(metrics["test"], metrics["train"]):
        print(f"{said}; what keeps it from learning: {command_line('diagnose', here)}")
    print(f"run: {visible(str(run.directory))} (model.safetensors, metrics.json, curve.png)")
    print("try next:")
    if run.task.reads_files:
        print(" ", command_line("predict", here, "path=FILE_OR_FOLDER"))
    if run.task.generate is not None:
        print(" ", command_line("generate", here, "out=samples.png"))
    print(" ", command_line("test", here))
    print("  structnet list")


def _finish(run: Any, resume: Any) -> dict[str, Any]:
    """Train and test a run, saving everything that is worth keeping as it comes; its figures."""
    from structnet.system.memory import keep_memory
    from structnet.training.fit import train_run
    from structnet.training.report import best_baseline, draw_curve
    from structnet.training.samples import named

    keep_memory()
    with run.hold():
        net, metrics = train_run(run, resume)
        run.save_net(net)
        draw_curve(run)
        # Its figures are there, whatever becomes of the baselines.
        run.save_metrics(metrics)
        name = run.config["task"]["name"]
        with named(run, f"task {name!r} failed to fit its baselines"):
            baselines = run.task.baselines()
        if baselines:
            metrics["baseline"] = best_baseline(baselines, run.task)
            metrics["baselines"] = baselines
        run.save_metrics(metrics)
    return metrics
