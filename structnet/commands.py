"""What each command does with the words after it.

Imports are where they are needed: `structnet --help` needs none of them.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from structnet.words import refuse_flags, take_flag, take_options, take_values, whole


def train(words: list[str]) -> int:
    only_print = take_flag(words, "--cfg")
    multirun = take_flag(words, "-m") or take_flag(words, "--multirun")
    folders = take_values(words, "--config-dir")
    refuse_flags(words)
    resumed = [word for word in words if word.startswith("resume=")]
    if resumed:
        words.remove(resumed[0])
        return _resume(resumed[0].removeprefix("resume="), words)
    from structnet.compare import Comparison
    from structnet.config import compose, sweep
    from structnet.fitting import fitting_words

    # Composed before the first one runs: a mistake in the last shows at once.
    sweeps = list(sweep(words)) if multirun else [words]
    sweeps = [[*overrides, *fitting_words(overrides, folders)] for overrides in sweeps]
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
        # What was swept, or taken where nothing was said.
        if multirun or overrides != words:
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
    if run.task.generate is not None:
        print(f"  structnet generate run={run.directory} out=samples.png")
    print(f"  structnet test run={run.directory}")
    print("  structnet list")


def _finish(run: Any, resume: bool) -> dict[str, Any]:
    """Train and test a run, saving everything that is worth keeping as it comes; its figures."""
    from structnet.memory import keep_memory
    from structnet.report import best_baseline, draw_curve
    from structnet.train import train_run

    keep_memory()
    with run.hold():
        net, metrics = train_run(run, resume)
        run.save_net(net)
        draw_curve(run)
        baselines = run.task.baselines()
        if baselines:
            metrics["baseline"] = best_baseline(baselines, run.task)
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
    done = run.read_checkpoint("last.ckpt")["epoch"] + 1
    if config["trainer"]["max_epochs"] < done:
        raise ValueError(
            f"{directory} has been trained for {done} epochs already; take "
            f"trainer.max_epochs={done} or more"
        )
    run = Run.compose(config, run.directory)
    _train(run, resume=True)
    return 0


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


def predict(words: list[str]) -> int:
    as_json = take_flag(words, "--json")
    options = take_options(words, required=("run", "path"), optional=("top",))
    top = whole(options.get("top", "20"), "top")
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
        verdict = f"{one.probability:.3f}" if run.task.wanted else one.verdict
        print(f"{one} ({verdict})")
    if len(found) > top:
        print(f"... {len(found) - top} more; top=N shows N", file=sys.stderr)
    return 0


def generate(words: list[str]) -> int:
    refuse_flags(words)
    options = dict(word.partition("=")[::2] for word in words)
    if not options.get("run"):
        raise ValueError("run=... is missing; see structnet --help")
    from structnet.config import saved
    from structnet.files import write
    from structnet.generate import generate
    from structnet.run import Run

    directory = Path(options.pop("run"))
    out = Path(options.pop("out", "") or directory / "samples.png").expanduser()
    run = Run.compose(saved(str(directory)), directory)
    if out.suffix.lower() != ".png" or out.is_dir():
        raise ValueError(f"out is a .png file, got {out}")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"no folder {out.parent} to write {out.name} to")
    made = generate(run, options)
    write(out, made.save)
    print(f"picture: {out}")
    return 0


def diagnose(words: list[str]) -> int:
    as_json = take_flag(words, "--json")
    options = take_options(words, required=("run",))
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


def draw(words: list[str]) -> int:
    refuse_flags(words)
    from structnet.draw import draw

    titles, path = draw(words)
    print(*titles, f"picture: {path}", sep="\n")
    return 0


def bench(words: list[str]) -> int:
    as_json = take_flag(words, "--json")
    devices = take_values(words, "--device")
    refuse_flags(words)
    # Read by torch's profiler as it is loaded: no lines of its own among ours.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    from structnet.bench import bench
    from structnet.memory import keep_memory

    keep_memory()
    bench(words, devices[-1] if devices else "cpu", as_json)
    return 0


def list_components(words: list[str]) -> int:
    as_json = take_flag(words, "--json")
    refuse_flags(words)
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
        width = max(12, *(len(component) + 2 for component in components))
        for component, about in components.items():
            print(f"  {component:<{width}}{about['doc']}")
            for option, spec in about["options"].items():
                print(f"    {option} = {json.dumps(spec['default'])} ({spec['type']})")
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": train,
    "test": test,
    "predict": predict,
    "generate": generate,
    "diagnose": diagnose,
    "draw": draw,
    "bench": bench,
    "list": list_components,
}
