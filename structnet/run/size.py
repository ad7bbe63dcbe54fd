"""The size of a run before it is built, counted on torch's meta device, which takes no memory."""

import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn

from structnet.system.memory import as_bytes, shortage, total_memory

# Floats that training keeps for each parameter: itself, its gradient, the optimizer's state.
KEPT = {"sgd": 2, "adagrad": 3}
MOST_KEPT = 4
WIDTH = 4
# A machine with fewer cores may test what one of 64 has trained.
MOST_WORKERS = 64
# Raised by a net that reads tensor values while it is built: the meta device has none.
UNKNOWN = (AttributeError, AssertionError, NotImplementedError, RuntimeError, TypeError)


def without_memory(build: Callable[[], nn.Module]) -> nn.Module | None:
    """The net that `build` makes, without values; None where it cannot be made so.

    ValueError for one with more entries than can be counted.
    """
    try:
        with torch.device("meta"), torch.random.fork_rng(devices=()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return build()
    except UNKNOWN as error:
        if shortage(error) is None and "Overflow when unpacking" not in str(error):
            return None
        raise ValueError("the net's tensors have more entries than can be counted") from error


def refuse_large(net: nn.Module, config: Mapping[str, Any]) -> None:
    """ValueError for a net that this machine's memory cannot hold while it is trained."""
    count = sum(parameter.numel() for parameter in net.parameters())
    optimizer = config["trainer"]["optimizer"]
    weights, needed = count * WIDTH, count * WIDTH * KEPT.get(optimizer, MOST_KEPT)
    # On a GPU they are trained, but they are made here all the same.
    on_gpu = torch.cuda.is_available() and config["trainer"]["accelerator"] != "cpu"
    if (weights if on_gpu else needed) > total_memory():
        sizes = {key: value for key, value in config["net"].items() if type(value) is int}
        largest = max(sizes, key=lambda key: sizes[key], default="hidden_size")
        raise ValueError(
            f"the net has {count:,} parameters: {as_bytes(weights)} of weights, "
            f"{as_bytes(needed)} with their gradients and what {optimizer} keeps, and this machine "
            f"has {as_bytes(total_memory())} of memory; take a smaller one, such as "
            f"net.{largest} below {sizes.get(largest)}"
        )


def refuse_other_size(net: nn.Module, weights: Path) -> None:
    """ValueError for a net of more numbers than there are in the file that it is read from."""
    count = sum(tensor.numel() for tensor in net.state_dict().values())
    with safe_open(weights, "pt") as file:
        shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
    saved = sum(torch.Size(shape).numel() for shape in shapes)
    if count > saved:
        raise ValueError(f"it has {count:,} numbers, {weights.name} holds {saved:,}")


def check_workers(trainer: Mapping[str, Any]) -> None:
    """ValueError for more loader processes than the machine has use for."""
    most, workers = max(MOST_WORKERS, 4 * (os.cpu_count() or 1)), trainer.get("num_workers", 0)
    if workers > most:
        raise ValueError(
            f"option 'num_workers' of trainer is at most {most} on a machine of {os.cpu_count()} "
            f"cores, got {workers}"
        )
