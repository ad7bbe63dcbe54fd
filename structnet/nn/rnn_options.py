"""Arguments of an RNN that torch's modules have as well, and are checked as theirs are."""

import numbers
from collections.abc import Mapping
from typing import Any

from structnet.execute.vendor.counterpart import KINDS, Counterpart


def check_options(
    cell: Any,
    sizes: Mapping[str, Any],
    bias: Any,
    batch_first: Any,
    dropout: Any,
    proj_size: int,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """The options with `proj_size` among them; TypeError and ValueError where torch has them."""
    for name, value in {"bias": bias, "batch_first": batch_first}.items():
        if not isinstance(value, bool):
            raise TypeError(f"{name} should be of type bool, got: {type(value).__name__}")
    for name, size in sizes.items():
        if not isinstance(size, int):
            raise TypeError(f"{name} should be of type int, got: {type(size).__name__}")
        if size < 1:
            raise ValueError(f"{name} must be greater than zero: {name} is at least 1, got {size}")
    is_number = isinstance(dropout, numbers.Number) and not isinstance(dropout, bool)
    if not is_number or not 0 <= dropout <= 1:
        raise ValueError(f"dropout is a probability from 0 to 1, got {dropout!r}")
    if not proj_size:
        return dict(options)
    if cell != "lstm":
        raise ValueError(f"proj_size is for cell 'lstm', got {proj_size} for {cell!r}; leave it 0")
    if not 0 < proj_size < sizes["hidden_size"]:
        raise ValueError(
            f"proj_size is 0 for none, or from 1 to below hidden_size = {sizes['hidden_size']}, "
            f"got {proj_size}"
        )
    if options.get("projection_size", proj_size) != proj_size:
        raise ValueError(
            f"proj_size and projection_size are one option by two names, got {proj_size} and "
            f"{options['projection_size']}"
        )
    return {**options, "projection_size": proj_size}


def has_torch_form(
    counterpart: Counterpart | None, cell: Any, bias: bool, biases: int | None
) -> bool:
    """Whether the parameters are torch's; ValueError where biases are asked for otherwise."""
    if biases not in (None, 1, 2):
        raise ValueError(f"biases is 1, 2 as torch has them, or None, got {biases!r}")
    if counterpart is None:
        if not bias or biases == 2:
            asked = "biases=2" if bias else "bias=False"
            raise ValueError(
                f"{asked} is for cells that torch has, {sorted(KINDS.values())} without other "
                f"options, not for {cell!r} here; leave it out"
            )
        return False
    if not bias and biases is not None:
        raise ValueError(f"biases={biases} goes with bias=True, got bias=False; leave one out")
    return biases != 1
