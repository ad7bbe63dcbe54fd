"""The command line."""

import importlib.util
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from structnet import DataWarning

USAGE = """\
structnet: structured recurrent networks over sequences, trees, grids and graphs

  structnet train [GROUP=NAME ...] [GROUP.OPTION=VALUE ...]   train, and test at the end
  structnet train resume=DIR [trainer.max_epochs=N]           go on where a run stopped
  structnet train -m topology=chain,bichain cell=lstm,gru     a sweep: every combination
  structnet test run=DIR                                      the test figures of a run again
  structnet predict run=DIR path=FILE_OR_FOLDER [top=N]       what a run says of your files
  structnet diagnose run=DIR                                  gradients, gates, spectral radii
  structnet bench topology=tree cell=lstm [KEY=VALUE ...]     time and memory, next to rivals
  structnet bench suite=cpu [rows=ROW,ROW]                    figures that have to be reached
  structnet list [GROUP]                                      components and their options

Groups: task, topology, cell, net, readout, trainer, experiment, debug. Without a word more,
`structnet train` learns to find swapped operands in Python code with a Tree-LSTM.

  seed=N          seed of weights and of the order of samples (0)
  run=DIR         directory of a new run (runs/DATE_TIME_TASK-TOPOLOGY-CELL)
  --cfg           print the composed configuration and stop
  --config-dir D  a folder of configuration files of your own
  --plugin FILE   a Python file that registers components of your own; may be repeated
  --json          for programs (list, predict, diagnose, bench)
  --device D      where bench measures: cpu (the default) or cuda
  --traceback     show where an error came from

bench takes size=20 or size=4..64 (steps of a sequence, leaves of a tree), batch, input_size,
hidden_size, executor, zoneout, repeats, seed, threads and out=FILE for JSON; with a suite only
rows, scale, repeats, seed, threads and out.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status, 2 for a mistake in the call."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help") or "--help" in words or "-h" in words:
        print(USAGE, end="")
        return 0 if words else 2
    traceback = _take_flag(words, "--traceback")
    try:
        with _plain_warnings():
            command = _find_command(words.pop(0))
            for plugin in _take_values(words, "--plugin"):
                _import_file(plugin)
            return command(words) or 0
    except BrokenPipeError:
        # Whoever reads our lines has seen enough; nothing is left to flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ArithmeticError, ImportError, LookupError, OSError, ValueError) as error:
        if traceback:
            raise
        print(f"structnet: error: {error}", file=sys.stderr)
        return 2


def train(words: list[str]) -> int:
    only_print = _take_flag(words, "--cfg")
    multirun = _take_flag(words, "-m") or _take_flag(words, "--multirun")
    folders = _take_values(words, "--config-dir")
    _refuse_flags(words)
    resumed = [word for word in words if word.startswith("resume=")]
    if resumed:
        words.remove(resumed[0])
        return _resume(resumed[0].removeprefix("resume="), words)
    from structnet.compare import Comparison
    from structnet.config import compose, sweep

    # Composed before the first one runs: a mistake in the last shows at once.
    sweeps = list(sweep(words)) if multirun else [words]
    composed = [compose(overrides, folders) for overrides in sweeps]
    comparisons = [
        Comparison.compose(config, overrides, folders) if "compare" in config else None
        for overrides, config in zip(sweeps, composed, strict=True)
    ]
    for overrides, config, comparison in zip(sweeps, composed, comparisons, strict=True):
        if only_print:
            import yaml

            print(yaml.safe_dump(config, sort_keys=False), end="")
            continue
        if multirun:
            print("structnet train", *overrides, flush=True)
        if comparison is not None:
            _compare(comparison)
            continue
        from structnet.run import Run

        _train(Run.new(config), resume=False)
    return 0


def _compare(comparison: Any) -> None:
    from structnet.ranking import differences, table
    from structnet.report import print_comparison

    directory, summary = comparison.run(lambda run: _finish(run, resume=False))
    print_comparison(*table(summary))
    print(*differences(summary), sep="\n")
    print(f"comparison: {directory} (table.md, table.json, and a run each)")


def _train(run: Any, resume: bool) -> None:
    """Train, test and report a run."""
    from structnet.report import print_table

    print_table(run, _finish(run, resume))
    print(f"run: {run.directory} (model.safetensors, metrics.json, curve.png)")
    print("try next:")
    if run.task.reads_files:
        print(f"  structnet predict run={run.directory} path=FILE_OR_FOLDER")
    print(f"  structnet test run={run.directory}")
    print("  structnet list")


def _finish(run: Any, resume: bool) -> dict[str, Any]:
    """Train and test a run, saving everything that is worth keeping as it comes; its figures."""
    from structnet.report import best_baseline, draw_curve
    from structnet.train import train_run

    with run.hold():
        net, metrics = train_run(run, resume)
        run.save_net(net)
        draw_curve(run)
        baselines = run.task.baselines()
        if baselines:
            metrics["baseline"] = best_baseline(baselines, run.task.monitor)
            metrics["baselines"] = baselines
        run.save_json("metrics.json", metrics)
    return metrics


def _resume(directory: str, words: list[str]) -> int:
    if not directory:
        raise ValueError("resume= takes the directory of a run")
    from structnet.config import override, saved
    from structnet.run import Run

    run = Run.compose(saved(directory), Path(directory))
    if not (run.checkpoints / "last.ckpt").is_file():
        raise FileNotFoundError(
            f"nothing to resume in {directory}: it has no checkpoints/last.ckpt, "
            "as the first epoch did not end; start the run again"
        )
    config = override(run.config, words)
    run = Run.compose(config, run.directory)
    _train(run, resume=True)
    return 0


def test(words: list[str]) -> int:
    options = _take_options(words, required=("run",))
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


def predict(words: list[str]) -> int:
    as_json = _take_flag(words, "--json")
    options = _take_options(words, required=("run", "path"), optional=("top",))
    top = _positive(options.get("top", "20"), "top")
    from structnet.config import saved
    from structnet.predict import predict
    from structnet.run import Run

    run = Run.compose(saved(options["run"]), Path(options["run"]))
    net = run.load_net()
    found = predict(run, net, Path(options["path"]))
    if not found:
        task = run.config["task"]["name"]
        print(f"structnet: nothing in {options['path']} for task {task!r}", file=sys.stderr)
    if as_json:
        print(json.dumps([one.as_dict() for one in found[:top]], indent=1))
        return 0
    for one in found[:top]:
        label = "" if run.task.wanted else f"{one.label}, "
        print(f"{one} ({label}{one.probability:.3f})")
    if len(found) > top:
        print(f"... {len(found) - top} more; top=N shows N", file=sys.stderr)
    return 0


def diagnose(words: list[str]) -> int:
    as_json = _take_flag(words, "--json")
    options = _take_options(words, required=("run",))
    from structnet.config import saved
    from structnet.diagnose import diagnose, largest_batch
    from structnet.run import Run
    from structnet.verdict import draw_diagnosis, print_diagnosis, save_diagnosis

    run = Run.compose(saved(options["run"]), Path(options["run"]))
    net = run.load_net()
    samples = run.task.load(run.topology)["validation"]
    batch_nodes = run.config["trainer"]["batch_nodes"]
    layers = diagnose(net, largest_batch(samples, run.topology, batch_nodes, run.task.group))
    found = save_diagnosis(run, layers)
    draw_diagnosis(run, layers, found["history"])
    if as_json:
        print(json.dumps(found["layers"], indent=1))
        return 0
    print_diagnosis(layers)
    if cut := run.config["net"].get("truncate"):
        print(f"measured without net.truncate={cut}, which cuts gradients in training")
    print(f"run: {run.directory} (diagnose.json, diagnose.png)")
    return 0


def bench(words: list[str]) -> int:
    as_json = _take_flag(words, "--json")
    devices = _take_values(words, "--device")
    _refuse_flags(words)
    # Read by torch's profiler as it is loaded: no lines of its own among ours.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    from structnet.bench import bench

    bench(words, devices[-1] if devices else "cpu", as_json)
    return 0


def list_components(words: list[str]) -> int:
    as_json = _take_flag(words, "--json")
    _refuse_flags(words)
    from structnet.config import GROUPS, groups
    from structnet.registry import did_you_mean

    plural = {f"{group}s" if group != "topology" else "topologies": group for group in GROUPS}
    wanted = [plural.get(word, word) for word in words] or list(GROUPS)
    for word in wanted:
        if word not in GROUPS:
            raise ValueError(f"no group {word!r} {did_you_mean(word, plural)}")
    listed = {name: groups()[group] for name, group in plural.items() if group in wanted}
    if as_json:
        print(json.dumps(listed, indent=1))
        return 0
    for name, components in listed.items():
        print(name)
        for component, about in components.items():
            print(f"  {component:<12}{about['doc']}")
            for option, spec in about["options"].items():
                print(f"    {option} = {json.dumps(spec['default'])} ({spec['type']})")
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": train,
    "test": test,
    "predict": predict,
    "diagnose": diagnose,
    "bench": bench,
    "list": list_components,
}


def _find_command(name: str) -> Callable[[list[str]], int]:
    if name not in COMMANDS:
        from structnet.registry import did_you_mean

        raise ValueError(f"no command {name!r} {did_you_mean(name, COMMANDS)}")
    return COMMANDS[name]


def _take_flag(words: list[str], flag: str) -> bool:
    present = flag in words
    words[:] = [word for word in words if word != flag]
    return present


def _take_values(words: list[str], flag: str) -> list[str]:
    values = []
    while flag in words:
        at = words.index(flag)
        if at + 1 == len(words):
            raise ValueError(f"{flag} takes a value")
        values.append(words[at + 1])
        del words[at : at + 2]
    return values


def _refuse_flags(words: list[str]) -> None:
    for word in words:
        if word.startswith("-"):
            raise ValueError(f"no flag {word!r}; see structnet --help")


def _take_options(
    words: list[str], required: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, str]:
    """Words of the form key=value."""
    from structnet.registry import did_you_mean

    options = {}
    for word in words:
        key, equals, value = word.partition("=")
        if key not in (*required, *optional) or not equals:
            raise ValueError(f"no option {word!r} {did_you_mean(key, (*required, *optional))}")
        options[key] = value
    for key in required:
        if not options.get(key):
            raise ValueError(f"{key}=... is missing; see structnet --help")
    return options


def _positive(value: str, name: str) -> int:
    if not value.isdigit() or int(value) < 1:
        raise ValueError(f"{name} is a whole number from 1 on, got {value!r}")
    return int(value)


def _import_file(name: str) -> None:
    """Import a user's file of components."""
    path = Path(name)
    if not path.is_file():
        raise FileNotFoundError(f"no plugin file {name}")
    module_name = f"structnet_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"plugin file {name} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    # Workers unpickle its classes by this name.
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ImportError(f"plugin file {name} failed: {type(error).__name__}: {error}") from error


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Our own warnings as lines for a person."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", DataWarning)
        show = warnings.showwarning

        def show_plainly(message: Any, category: type, *where: Any, **kwargs: Any) -> None:
            if issubclass(category, DataWarning):
                print(f"structnet: {message}", file=sys.stderr)
            else:
                show(message, category, *where, **kwargs)

        warnings.showwarning = show_plainly
        yield


if __name__ == "__main__":
    sys.exit(main())
