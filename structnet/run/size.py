"""The size of a net before it is built, counted on torch's meta device, which takes no memory."""

import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn

from structnet.system.memory import as_bytes, shortage, total_memory

# Floats per parameter in training: the value, its gradient and the optimizer's state.
KEPT = {"sgd": 2, "adagrad": 3}
MOST_KEPT = 4
# Bytes of a float.
WIDTH = 4
# A run that was trained on 64 cores may be tested on a machine with fewer.
MOST_WORKERS = 64
# Errors of a net that reads values of tensors in its constructor: meta tensors have none.
UNKNOWN = (AttributeError, AssertionError, NotImplementedError, RuntimeError, TypeError)


def without_memory(build: Callable[[], nn.Module]) -> nn.Module | None:
    """The net that `build` returns, on the meta device; None if it can't be built there.

    ValueError for a tensor with too many entries for torch.
    """
    try:
        with torch.device("meta"), torch.random.fork_rng(devices=()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return build()
    except UNKNOWN as error:
        if shortage(error) is None and "Overflow when unpacking" not in str(error):
            return None
        raise ValueError("the net's tensors have more entries than can be counted") from error


def trains_on_gpu(config: Mapping[str, Any]) -> bool:
    """Whether a run with this configuration is trained on a GPU of this machine."""
    return torch.cuda.is_available() and config["trainer"]["accelerator"] != "cpu"


def refuse_large(net: nn.Module, config: Mapping[str, Any]) -> None:
    """ValueError for a net that does not fit in this machine's memory in training."""
    count = sum(parameter.numel() for parameter in net.parameters())
    optimizer = config["trainer"]["optimizer"]
    weights, needed = count * WIDTH, count * WIDTH * KEPT.get(optimizer, MOST_KEPT)
    # For a GPU only the weights are in main memory, when the net is built.
    if (weights if trains_on_gpu(config) else needed) > total_memory():
        sizes = {key: value for key, value in config["net"].items() if type(value) is int}
        largest = max(sizes, key=lambda key: sizes[key], default="hidden_size")
        raise ValueError(
            f"the net has {count:,} parameters: {as_bytes(weights)} of weights, "
            f"{as_bytes(needed)} with gradients and the state of {optimizer}, and this machine "
            f"has {as_bytes(total_memory())} of memory; take a smaller one, such as "
            f"net.{largest} below {sizes.get(largest)}"
        )


def refuse_other_size(net: nn.Module, weights: Path) -> None:
    """ValueError for a net with more entries than the file of its weights."""
    count = sum(tensor.numel() for tensor in net.state_dict().values())
    with safe_open(weights, "pt") as file:
        shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
    saved = sum(torch.Size(shape).numel() for shape in shapes)
    if count > saved:
        raise ValueError(f"it has {count:,} numbers, {weights.name} holds {saved:,}")


def check_workers(trainer: Mapping[str, Any]) -> None:
    """ValueError for far more loader processes, or threads, than the machine has cores."""
    most = max(MOST_WORKERS, 4 * (os.cpu_count() or 1))
    for option in ("num_workers", "threads"):
        if (given := trainer.get(option) or 0) > most:
            raise ValueError(
                f"option {option!r} of trainer must be at most {most} on a machine of "
                f"{os.cpu_count()} cores, got {given}"
            )
