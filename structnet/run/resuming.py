"""Reading checkpoints: one that is damaged, inconsistent or not plain data is rejected.

A checkpoint is not trusted. Of its entries only the position, the weights, the optimizer's state
and the scores are used, each of them checked; paths in it are ignored.
"""

import io
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from structnet import DataWarning
from structnet.run.manifest import BEST, LAST, PREVIOUS, Damaged, Manifest

# The entries in a checkpoint that are ours, not Lightning's.
PROGRESS = "progress"
# What is saved where weights are averaged: the number of steps in the mean, the validation figures
# so far, and the weights that training goes on with, if those in the `state_dict` are the mean.
AVERAGE = "average"
SPENT = ("nodes", "seconds", "wall")
# An upper limit for the numbers of epochs, steps, nodes and seconds.
LARGEST = 1 << 50


@dataclass(frozen=True)
class Saved:
    """A checkpoint to resume from.

    Arguments:
        name: the file, relative to the run's directory.
        state: the data in it.
        epoch: the epoch it was saved in, counted from 0.
        batches: the number of this epoch's batches that are done; 0 if all of them are.
        step: the number of optimizer steps done.
        best_score: the best validation figure so far, if known.
        waited: the state of early stopping, if it was used.
        spent: nodes trained on, and seconds of training and in all.
        states: the states that the net ended with, layer by layer, for windows of texts; None where
            samples stand alone.
        average: the entry `AVERAGE`, whose weights are not checked; None where there is none.
    """

    name: str
    state: Mapping[str, Any]
    epoch: int
    batches: int
    step: int
    best_score: float | None
    waited: Mapping[str, Any] | None
    spent: Mapping[str, float]
    states: Sequence[Sequence[Tensor]] | None = None
    average: Mapping[str, Any] | None = None

    @property
    def epochs(self) -> int:
        """The number of epochs that are done."""
        return self.epoch if self.batches else self.epoch + 1

    def __str__(self) -> str:
        within = f" and {self.batches} batches" if self.batches else ""
        return f"{self.name}, after {self.epochs} epochs{within}"


def newest(manifest: Manifest) -> Saved | None:
    """The newest undamaged checkpoint of a run; None if the run has no checkpoint.

    A DataWarning says what is wrong with the last checkpoint if another is taken. Raises ValueError
    if all of them are damaged.
    """
    there = [one for one in (LAST, PREVIOUS, BEST) if (manifest.directory / one).is_file()]
    found, faults = [], []
    for name in there:
        try:
            found.append(read(manifest, name))
        except ValueError as error:
            faults.append(str(error))
        # The last one is the newest, if it is undamaged.
        if name == LAST and found:
            return found[0]
    if LAST not in there:
        faults.insert(0, f"{manifest.directory / LAST} is missing")
    if not there:
        return None
    if not found:
        raise ValueError(f"{'; '.join(faults)}: start the run again")
    taken = max(found, key=lambda saved: saved.step)
    warnings.warn(f"{'; '.join(faults)}; going on from {taken}", DataWarning, stacklevel=2)
    return taken


def read(manifest: Manifest, name: str) -> Saved:
    """A checkpoint; ValueError names the file and says what is wrong with it."""
    file = manifest.directory / name
    state = read_plain(manifest, name)
    try:
        return _understood(name, state)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"{file} is not a checkpoint to go on from: {reason}") from error


def read_plain(manifest: Manifest, name: str) -> dict[str, Any]:
    """The plain data of a checkpoint; ValueError if it holds other objects or is damaged."""
    file = manifest.directory / name
    data = manifest.read(name)
    try:
        _check_sums(data)
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Damaged as error:
        raise Damaged(f"{file} is damaged: {error}") from error
    except Exception as error:
        # torch raises errors of several types for damaged files and forbidden objects.
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{file} is not a checkpoint of plain data: {reason}") from error
    if not isinstance(state, dict):
        raise ValueError(f"{file} is not a checkpoint of plain data: a {type(state).__name__}")
    return state


def _check_sums(data: bytes) -> None:
    """Check the CRC of every entry of the archive, which torch.load does not."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            # torch.save does not compress, and no two entries share bytes.
            if sum(entry.file_size for entry in entries) > len(data):
                raise Damaged("its entries are larger than all of it")
            bad = archive.testzip()
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise Damaged(str(error)) from error
    if bad is not None:
        raise Damaged(f"the CRC of its {bad} differs")


def _understood(name: str, state: Mapping[str, Any]) -> Saved:
    epoch, step = (_count(state, key) for key in ("epoch", "global_step"))
    progress = state.get(PROGRESS, {})
    batches = _count(progress, "batches") if progress else 0
    counted = state["loops"]["fit_loop"]
    begun = counted["epoch_progress"]["current"]["ready"]
    steps = counted["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]["step"]
    if begun != epoch + 1 or steps["total"]["completed"] != step:
        raise ValueError(f"its epoch {epoch} and step {step} are not those of its loops")
    for key in ("state_dict", "callbacks"):
        if not isinstance(state[key], dict):
            raise ValueError(f"its {key} is {_shown(state[key])}")
    spent = {key: _number(progress, key) for key in SPENT} if progress else {}
    score = _judged(state["callbacks"])["best_model_score"]
    return Saved(
        name,
        state,
        epoch,
        batches,
        step,
        None if score is None else _scalar(score, "best_model_score"),
        _waited(state["callbacks"]),
        spent,
        _states(progress.get("states")),
        _average(state.get(AVERAGE)),
    )


def _states(saved: Any) -> list[list[Tensor]] | None:
    """Copies of the states of every layer, matrices of finite numbers with one number of rows."""
    if saved is None:
        return None
    if not isinstance(saved, list) or not all(isinstance(layer, list) for layer in saved):
        raise ValueError(f"its states are {_shown(saved)}, expected lists of tensors")
    if not saved:
        return None
    for one in (one for layer in saved for one in layer):
        plain = isinstance(one, Tensor) and one.layout == torch.strided and not one.is_nested
        if not plain or one.is_meta or one.ndim != 2 or not one.is_floating_point():
            raise ValueError(f"its states have {_shown(one)}, expected a matrix")
        if not torch.isfinite(one).all():
            raise ValueError("its states have values that are not finite")
    if len({len(one) for layer in saved for one in layer}) != 1:
        raise ValueError("its states have several numbers of rows")
    return [[one.detach().clone() for one in layer] for layer in saved]


def _average(saved: Any) -> Mapping[str, Any] | None:
    if saved is None:
        return None
    count, scores, weights = _count(saved, "count"), saved["scores"], saved["weights"]
    if not isinstance(scores, list) or not all(type(score) is float for score in scores):
        raise ValueError(f"its scores are {_shown(scores)}, expected numbers")
    if not isinstance(weights, dict) or bool(weights) != bool(count):
        raise ValueError(f"its weights, of a mean of {count} steps, are {_shown(weights)}")
    return {"count": count, "scores": scores, "weights": weights}


def _judged(callbacks: Mapping[str, Any]) -> Mapping[str, Any]:
    """The state of the callback that keeps the best checkpoint.

    Older versions had another callback for the last checkpoint, without a monitor.
    """
    for one in callbacks.values():
        if isinstance(one, dict) and "best_model_score" in one and one.get("monitor") is not None:
            return one
    raise ValueError("its callbacks have no score of the best one")


def _waited(callbacks: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The state of early stopping; None if it was not used."""
    for one in callbacks.values():
        if isinstance(one, dict) and "wait_count" in one:
            score = torch.tensor(_scalar(one["best_score"], "best_score"))
            return {"wait_count": _count(one, "wait_count"), "best_score": score}
    return None


def _count(state: Mapping[str, Any], key: str) -> int:
    value = state[key]
    if type(value) is not int or not 0 <= value <= LARGEST:
        raise ValueError(f"its {key} is {_shown(value)}")
    return value


def _number(state: Mapping[str, Any], key: str) -> float:
    value = state[key]
    if type(value) not in (int, float) or not 0 <= value <= LARGEST:
        raise ValueError(f"its {key} is {_shown(value)}")
    return value


def _scalar(value: Any, key: str) -> float:
    plain = isinstance(value, Tensor) and value.layout == torch.strided and not value.is_nested
    if not plain or value.is_meta or value.numel() != 1 or not value.is_floating_point():
        raise ValueError(f"its {key} is {_shown(value)}")
    return value.item()


def _shown(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    text = repr(value) if isinstance(value, int | float | str | None) else type(value).__name__
    return text[:60]
