"""The checks of a task: its data, its loss, and a run of two steps that is saved and loaded."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from structnet.check.card import Card, Failed
from structnet.data.batch import Batch, Tokens, collate
from structnet.data.task import Task
from structnet.nn.head import Scores
from structnet.registry.plugin import describe
from structnet.run.run import Run
from structnet.system.terminal import silence
from structnet.training.predict import scored
from structnet.training.samples import load_samples

# The samples of a batch, in groups.
SAMPLES = 6
# What an output in float32 may differ by, as a share of the largest entry.
TOLERANCE = 1e-4


def check_task(config: Mapping[str, Any]) -> Card:
    """All checks of the task of a configuration, with its topology, cell and net.

    ValueError for a composition that can't be trained, FileNotFoundError where data is missing.
    """
    run = Run.compose(config, Path())
    run.check()
    card = Card("task", dict(config["task"]))
    on = " and ".join(run.parts)
    # What fails here would fail in every other check.
    card.check("data", on, lambda: _sizes(run))
    if not card.passed:
        return card
    card.check("determinism", on, lambda: _loads_the_same(run))
    card.check("what is learned", on, lambda: _knows_again(run))
    card.check("loss and gradients", on, lambda: _learns(run))
    card.check("order of the batch", on, lambda: _ignores_others(run))
    card.check("trained, saved and loaded", on, lambda: _trains(run))
    return card


def _anew(run: Run) -> Run:
    """The run with a task that has not been loaded."""
    return Run.compose(run.config, run.directory)


def _sizes(run: Run) -> str:
    splits = load_samples(run)
    return ", ".join(f"{len(some):,} {name}" for name, some in splits.items())


def _some(run: Run, split: str = "train") -> Sequence[Any]:
    """The first samples of a split and the last ones, in whole groups."""
    samples: Any = run.task.loaded[split]
    count = min(len(samples), SAMPLES * run.task.group)
    places = dict.fromkeys([*range(count), *range(len(samples) - count, len(samples))])
    return [samples[at] for at in places]


def _same(one: Batch, other: Batch) -> bool:
    """Whether two batches have the same inputs, targets and structures."""
    for name in ("x", "y", "ptr"):
        first, second = getattr(one, name), getattr(other, name)
        pairs = [(first, second)]
        if hasattr(first, "ids"):
            pairs = [(first.ids, second.ids), (first.ptr, second.ptr)]
        elif hasattr(first, "numbers"):
            pairs = [(first.numbers, second.numbers), (first.tokens.ids, second.tokens.ids)]
        if not all(_equal(a, b) for a, b in pairs):
            return False
    return all(
        a.order.equal(b.order) and a.levels == b.levels
        for a, b in zip(one.plans, other.plans, strict=True)
    )


def _equal(one: Any, other: Any) -> bool:
    if not isinstance(one, Tensor):
        return one is other or one == other
    return one.shape == other.shape and bool(one.eq(other).logical_or(one.ne(one)).all())


def _refuse_other(run: Run, other: Run, what: str) -> None:
    for split in ("train", "validation", "test"):
        sizes = [len(each.task.loaded[split]) for each in (run, other)]
        if sizes[0] != sizes[1]:
            raise Failed(f"{split} has {sizes[0]:,} samples, and {sizes[1]:,} {what}")
        pair = (collate(_some(each, split), each.topology) for each in (run, other))
        if not _same(*pair):
            raise Failed(f"the samples of {split} differ {what}")


def _loads_the_same(run: Run) -> str:
    other = _anew(run)
    load_samples(other)
    _refuse_other(run, other, "when they are loaded again")
    return "samples are the same when they are loaded again"


def _knows_again(run: Run) -> str:
    """Whether a task that knows what another one learned makes the same samples."""
    task, other = run.task, _anew(run)
    learned = {name: getattr(task, name) for name in task.learned}
    if task.classes:
        learned["classes"] = list(task.classes)
    other.task.know(task.vocabulary, learned)
    load_samples(other)
    _refuse_other(run, other, "for a task that knows what was learned")
    names = [*(["vocabulary"] if task.vocabulary is not None else []), *learned]
    return f"{', '.join(names) or 'nothing'}: samples are the same"


def _learns(run: Run) -> str:
    torch.manual_seed(0)
    net = run.build_net().train()
    batch = collate(_some(run), run.topology)
    output = net(batch)
    loss, again = (run.task.loss(output, batch) for _ in range(2))
    if loss.ndim or not loss.isfinite():
        raise Failed(f"the loss of the first samples is {loss.tolist()}, expected a finite number")
    if not loss.equal(again):
        raise Failed(f"the loss of one output is {loss.item()}, and {again.item()} the second time")
    if not loss.requires_grad:
        raise Failed("the loss does not depend on the outputs of the net")
    compared = _compared(run.task, output, batch, loss)
    loss.backward()
    grads = [one.grad for one in net.parameters() if one.requires_grad]
    reached = [grad is not None and bool(grad.any()) for grad in grads]
    if not any(reached):
        raise Failed("the gradient of the loss is zero for all weights of the net")
    reach = f"{sum(reached)} of {len(reached)} weights have gradients"
    return f"loss {loss.item():.4g}, {reach}; {compared}"


def _compared(task: Task, output: Any, batch: Batch, loss: Tensor) -> str:
    """What the loss compares outputs with: targets, or the input; Failed where it is neither."""
    if not isinstance(output, Tensor | Scores):
        return "its net has read the targets, of which no others are tried"
    refused = ""
    for field, what in (("y", "targets"), ("x", "inputs")):
        for other in _others(batch, field):
            try:
                found = task.loss(output, other)
            # What was made of targets need not be valid ones of this task.
            except Exception as error:
                refused = describe(error)
                continue
            if not found.equal(loss):
                return f"other {what} change it"
    if refused:
        return f"no other targets could be tried: {refused}"
    raise Failed("the loss of the same outputs with other targets is the same: it ignores them")


def _others(batch: Batch, field: str) -> Iterator[Batch]:
    """The batch with other values of a field, in itself and in its parts."""
    changes: tuple[Callable[[Tensor], Tensor], ...] = (
        lambda values: values.roll(1, 0),
        lambda values: values.flip(0),
        # Of classes, which none leaves: the first for all, and the second for all.
        lambda values: values * 0,
        lambda values: values * 0 + 1,
    )
    for change in changes:
        yield _changed(batch, field, change)


def _changed(batch: Batch, field: str, change: Callable[[Tensor], Tensor]) -> Batch:
    values = getattr(batch, field)
    if isinstance(values, Tensor):
        values = change(values)
    elif isinstance(values, Tokens):
        values = replace(values, ids=change(values.ids))
    parts = tuple(_changed(part, field, change) for part in batch.parts)
    return replace(batch, **{field: values}, parts=parts)


def _ignores_others(run: Run) -> str:
    """Whether a sample's output is the same beside others and alone."""
    torch.manual_seed(0)
    net, samples, group = run.build_net().eval(), _some(run), run.task.group
    parts = [samples[at : at + group] for at in range(0, len(samples), group)]
    with torch.no_grad():
        together = scored(net(collate(samples, run.topology)))[0]
        alone = torch.cat([scored(net(collate(some, run.topology)))[0] for some in parts])
    off = float((together - alone).abs().max() / alone.abs().max().clamp(min=1.0))
    if not off <= TOLERANCE:
        raise Failed(f"scores beside other samples are off by {off:.1e} from those alone")
    return f"{len(parts)} samples together and alone: off by at most {off:.0e}"


def _trains(run: Run) -> str:
    from structnet.training.fit import train_run
    from structnet.training.trainer import evaluate

    with TemporaryDirectory() as folder, silence():
        trained = replace(_anew(run), directory=Path(folder, "run"))
        trained.save_config()
        net, metrics = train_run(trained, None)
        trained.save_net(net)
        again = Run.open(trained.directory)
        figures = evaluate(again, again.load_net(), load_samples(again)["test"])
    monitor = again.task.monitor
    before, after = metrics["test"][monitor], figures[monitor]
    if before != after and not (before != before and after != after):
        raise Failed(f"test {monitor} was {before} after training, {after} when loaded")
    return f"two steps, test {monitor} {after:.4g} before and after"
