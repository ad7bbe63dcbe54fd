"""Training in Python: `sn.fit`, what `structnet train` does."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from structnet import registry
from structnet.config.composing import compose
from structnet.config.fitting import fitting_words
from structnet.data.task import Task
from structnet.distributed.launch import launched
from structnet.fitting.own import task_of_data
from structnet.fitting.run import Run, composed
from structnet.fitting.train import begin, finish, reopen
from structnet.fitting.words import Choice, words_of
from structnet.system.terminal import silence, visible
from structnet.training.others import Others
from structnet.training.report import print_table


def fit(
    task: Any,
    net: Choice | nn.Module = None,
    *,
    data: Any = None,
    topology: Choice = None,
    cell: Choice = None,
    readout: Choice = None,
    head: Choice = None,
    trainer: Mapping[str, Any] | None = None,
    callbacks: Sequence[Any] = (),
    logger: Any = None,
    run: str | Path | None = None,
    resume: str | Path | None = None,
    seed: int = 0,
    quiet: bool = False,
    **options: Any,
) -> Run:
    """Train a net, test it beside baselines, and return the run, as `structnet train` does.

    The run's directory has the same files. Components are given by name, or as a mapping of
    options with their `name`, as in `topology={"name": "tree", "arity": None}`; what is left out
    is as on the command line. ValueError for what does not fit, before any data is read.

    Arguments:
        task: the name of a registered task; a task, of a registered class; or data: a list, or a
            mapping from train, and validation and test if given, to lists, of (structure, x, y),
            nltk.Tree, torch_geometric Data or mappings. x is (nodes, features), or a text or a list
            of texts for every node; y is a class or a number, for the structure or for every node.
        net: a net; or an nn.Module called with an `sn.Batch`, which returns scores (samples,
            outputs), or (nodes, outputs) if every node has a target. No configuration builds the
            latter again: `Run.load` then takes it as `net`.
        data: what a registered task reads in place of files, such as a data frame.
        topology: by default one that fits the task.
        cell: the cell.
        readout: by default the task's.
        head: by default the task's.
        trainer: options of training, as in {"max_epochs": 5}.
        callbacks: Lightning's callbacks, called after those of training itself.
        logger: one of Lightning's loggers or several, beside the CSV files in the run's directory.
        run: the directory of the run, which is new or empty; None for one below runs/.
        resume: the directory of a run to go on with, in place of `run`; of the other arguments, the
            options of `trainer` alone can change.
        seed: of the weights, of the order of samples, and of the splits of data that has none.
        quiet: whether nothing but warnings is printed.
        options: those of the task. Of data: `loss`, which is cross_entropy for classes, and
            squared, absolute or huber for numbers, in place of what the targets tell; `per_node`,
            whether the labels of all nodes of an nltk.Tree are targets, not of its root alone; and
            `batches`: an epoch has about this number of batches or more, by default 32.

    >>> rows = [(n, np.ones((n, 1)), float(n)) for n in range(1, 9)] * 5  # how long is a chain?
    >>> run = sn.fit(rows, {"hidden_size": 4}, trainer={"max_epochs": 1}, quiet=True)
    >>> run.predict(rows[:2]).values.shape
    (2,)
    """
    if launched().size > 1:
        raise ValueError(
            "several processes train a run by `torchrun -m structnet train`, not by sn.fit"
        )
    if run is not None and resume is not None:
        raise ValueError("run= is a new directory, resume= one to go on with: give one of them")
    module = net if isinstance(net, nn.Module) else None
    net_words = words_of("net", _named(net) if isinstance(net, nn.Module) else net)
    parts = {"topology": topology, "cell": cell, "readout": readout, "head": head}
    made = task if isinstance(task, Task) else None
    task_words, given = _task_words(task, data, seed, topology, options)
    words = [*task_words, *net_words]
    words += [word for group, one in parts.items() for word in words_of(group, one)]
    attach = partial(composed, module=module, task=made, data=given)
    others = Others.of(callbacks, logger)
    with silence() if quiet else nullcontext():
        changed = words_of("trainer", trainer)
        if resume is not None:
            begun, found, ended = reopen(str(resume), changed, attach)
            if ended:
                raise ValueError(f"{resume} has been trained {ended}")
        else:
            words += [*changed, f"seed={seed}", *([] if run is None else [f"run={run}"])]
            begun, found = begin(compose([*words, *fitting_words(words)]), attach)
        return _finished(begun, found, others)


def _finished(begun: Any, found: Any, others: Others) -> Run:
    """Train the run, print its figures, and leave net and figures in it."""
    net, metrics = finish(begun, found, others)
    print_table(begun, metrics)
    print(f"run: {visible(str(begun.directory))} (model.safetensors, metrics.json, curve.png)")
    sys.stdout.flush()
    vars(begun).update(net=net.eval(), metrics=begun.read_metrics())
    return begun


def _task_words(
    task: Any, data: Any, seed: int, topology: Choice, options: Mapping[str, Any]
) -> tuple[list[str], Any]:
    """The words that choose the task, with a topology that its data asks for; and its data."""
    if isinstance(task, str | Task):
        name, given = (task, options) if isinstance(task, str) else _made(task, options)
        if data is not None and not getattr(registry.tasks[name], "takes_data", False):
            raise ValueError(
                f"task {name!r} reads files, not data=: leave it out, and see its options with "
                f"structnet list task {name}"
            )
        return words_of("task", {**given, "name": name}), data
    if data is not None:
        raise ValueError("data= is for a task that is named, as in sn.fit('sequences', data=frame)")
    known = ["batches", "loss", "per_node"]
    if odd := sorted(options.keys() - set(known)):
        raise ValueError(f"no option {odd[0]!r} of data among {known}")
    return task_of_data(task, seed, topology, **options)


def _made(task: Task, options: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The name and the options of a task; ValueError for one of a class that has no name."""
    name = next((one for one in registry.tasks.names() if registry.tasks[one] is type(task)), None)
    if name is None:
        kind = type(task).__name__
        raise ValueError(
            f"{kind} has no name, by which the run's configuration could make it again: write "
            f"@sn.tasks.register('{kind.lower()}') above the class"
        )
    if options:
        raise ValueError(
            f"options {sorted(options)} are for a task that is named; give them to "
            f"{type(task).__name__}(...)"
        )
    return name, task.options


def _named(module: nn.Module) -> dict[str, str]:
    return {"name": "module", "of": type(module).__name__}
