"""train: compose, train, test and report; a sweep, a search, a comparison, or a resumed run."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from structnet.distributed.launch import divided, launched, refuse_several
from structnet.registry.option_types import home
from structnet.system.terminal import print_rows, visible
from structnet.system.words import command_line, take_flag, take_values, whole

if TYPE_CHECKING:
    from structnet.run.resuming import Saved
    from structnet.run.run import Run
    from structnet.study.compare import Comparison
    from structnet.study.search import Search
    from structnet.study.sweep import Sweep

# Flags of sweeps and their examples.
EXAMPLES = {"--jobs": "--jobs 2", "--trials": "--trials 20"}
SEARCH_FILES = "search.json, journal.log, table.md, one directory per run"


def run(words: list[str]) -> int:
    launch = launched()
    if launch.size == 1:
        return _run(words)
    from structnet.cli.together import shared

    with shared(launch):
        return _run(words)


def _run(words: list[str]) -> int:
    only_print = take_flag(words, "--cfg")
    multirun = take_flag(words, "-m") or take_flag(words, "--multirun")
    folders = take_values(words, "--config-dir")
    counts = _take_counts(words)
    jobs, trials = counts.get("--jobs", 1), counts.get("--trials")
    resumed = [word for word in words if word.startswith("resume=")]
    if resumed:
        words.remove(resumed[0])
        return _resume(home(resumed[0].removeprefix("resume=")), words, counts)
    if counts and not multirun:
        flag, line = next(iter(counts)), command_line("train", "-m", *words)
        raise ValueError(f"{flag} is for a sweep: {line} ... {EXAMPLES[flag]}")
    from structnet.config.sweeping import has_interval, sweep
    from structnet.distributed.world import current

    with current().together():
        refuse_several(launched(), multirun)
    if multirun and (trials is not None or has_interval(words)):
        return _search(words, folders, trials, jobs, only_print)
    with current().together():
        sweeps, composed, comparisons = _compose(sweep(words) if multirun else [words], folders)
        refuse_several(launched(), any(comparisons))
    if only_print:
        _print_configs(composed)
        return 0
    if multirun and not any(comparisons):
        from structnet.study.sweep import Sweep

        return _sweep(Sweep.compose(sweeps, composed, folders, jobs))
    if counts:
        raise ValueError("--jobs is for a sweep of single runs, not of comparisons: leave it out")
    for overrides, config, comparison in zip(sweeps, composed, comparisons, strict=True):
        # A run of a sweep, or a topology that was chosen for the task.
        if multirun or overrides != words:
            dirs = [word for folder in folders for word in ("--config-dir", folder)]
            print(command_line("train", *dirs, *overrides), flush=True)
        if comparison is not None:
            _compare(comparison)
            continue
        from structnet.fitting.train import begin

        _train(*begin(config))
    return 0


def _compose(
    sweeps: Iterable[list[str]], folders: list[str]
) -> tuple[list[list[str]], list[dict[str, Any]], list["Comparison | None"]]:
    """The words of every run, its configuration and its comparison, before the first is trained.

    A mistake in the last shows at once.
    """
    from structnet.config.composing import compose
    from structnet.config.fitting import fitting_words
    from structnet.study.compare import Comparison

    fitted = [[*overrides, *fitting_words(overrides, folders)] for overrides in sweeps]
    composed = [divided(compose(overrides, folders), launched()) for overrides in fitted]
    comparisons = [
        Comparison.compose(config, overrides, folders) if "compare" in config else None
        for overrides, config in zip(fitted, composed, strict=True)
    ]
    return fitted, composed, comparisons


def _take_counts(words: list[str]) -> dict[str, int]:
    """Remove the flags of a sweep that have a number from the words; the number by flag."""
    counts = {}
    for flag, example in EXAMPLES.items():
        try:
            for value in take_values(words, flag):
                counts[flag] = whole(value, flag)
        except ValueError as error:
            raise ValueError(f"{error}; for example: {example}") from error
    return counts


def _print_configs(configs: Iterable[Mapping[str, Any]]) -> None:
    import yaml

    print("".join(yaml.safe_dump(config, sort_keys=False) for config in configs), end="")


def _resume(directory: str, words: list[str], counts: Mapping[str, int]) -> int:
    from structnet.distributed.world import current
    from structnet.study import search
    from structnet.study.sweep import LIST, Sweep

    lists = [name for name in (LIST, search.LIST) if directory and Path(directory, name).is_file()]
    if lists:
        with current().together():
            refuse_several(launched(), True)
    if lists and words:
        raise ValueError(f"{directory} holds a sweep, which is resumed as it is; got {words}")
    jobs, trials = counts.get("--jobs", 1), counts.get("--trials")
    if search.LIST in lists:
        return _report(search.Search.open(Path(directory), trials, jobs))
    if trials is not None:
        raise ValueError(f"--trials is for a search, which {directory} does not hold: leave it out")
    if lists:
        return _sweep(Sweep.open(directory, jobs))
    if counts:
        raise ValueError(f"--jobs is for a sweep, which {directory} does not hold: leave it out")
    return _resume_run(directory, words)


def _resume_run(directory: str, words: list[str]) -> int:
    """Train a run from its newest checkpoint, with options of the trainer changed by the words."""
    if not directory:
        raise ValueError("resume= takes the directory of a run")
    from structnet.fitting.train import reopen

    run, found, ended = reopen(directory, words)
    if ended:
        print(f"{directory} has been trained {ended}; nothing is changed")
    else:
        _train(run, found)
    return 0


def _sweep(sweep: "Sweep") -> int:
    """Train and report every run of a sweep; the exit status, 1 if one has failed."""
    sweep.run(_train)
    print_rows(*sweep.table(short=True))
    for failure in sweep.failures:
        print(f"failed: {visible(str(failure))}")
    if sweep.failures:
        failed = f"{len(sweep.failures)} of {len(sweep.parts)} failed"
        print(f"{failed}; again with: {sweep.resume_command}")
    print(f"sweep: {visible(str(sweep.directory))} (sweep.json, table.md)")
    return int(bool(sweep.failures))


def _search(
    words: list[str], folders: list[str], trials: int | None, jobs: int, only_print: bool
) -> int:
    from structnet.study.search import Search
    from structnet.study.searched import Searched

    searched = Searched(words, folders)
    if only_print:
        _print_configs(searched.configs())
        return 0
    return _report(Search.compose(searched, trials, jobs))


def _report(search: "Search") -> int:
    """Train and report the trials of a search; the exit status, 1 if one has failed."""
    search.run()
    print_rows(*search.table(), left=(0, 1, 2, 5))
    for failure in search.failures:
        print(f"failed: {visible(failure)}")
    if best := search.best:
        print(best)
    more = f"{search.resume_command} --trials {2 * search.count}"
    print(f"search: {visible(str(search.directory))} ({SEARCH_FILES}); more runs: {more}")
    return int(bool(search.failures))


def _compare(comparison: "Comparison") -> None:
    from structnet.fitting.train import finish
    from structnet.study.ranking import differences, table

    directory, summary = comparison.run(lambda run: finish(run, None)[1])
    print_rows(*table(summary))
    print(*differences(summary), sep="\n")
    made = "table.md, table.json, curves.png, one directory per run"
    print(f"comparison: {visible(str(directory))} ({made})")


def _train(run: "Run", resumed: "Saved | None") -> dict[str, Any]:
    """Train, test and report a run; its figures."""
    from structnet.fitting.train import finish
    from structnet.training.constant import no_better
    from structnet.training.report import beats_baselines, print_table

    _, metrics = finish(run, resumed)
    if not launched().is_first:
        return metrics
    here = f"run={run.directory}"
    print_table(run, metrics)
    # Where most nodes are of one class, as beside entities, accuracy is not what is to be learned.
    by_accuracy = run.task.monitor in ("accuracy", "rmse")
    said = no_better(metrics["test"], metrics["train"])
    if said and (by_accuracy or not beats_baselines(metrics, run.task)):
        print(f"{said}; what keeps it from learning: {command_line('diagnose', here)}")
    made = "model.safetensors, metrics.json, README.md, curve.png"
    print(f"run: {visible(str(run.directory))} ({made})")
    print("try next:")
    for name, *words in (*run.task.commands(run.topology), ("test",)):
        print(" ", command_line(name, here, *words))
    print("  structnet list")
    return metrics
