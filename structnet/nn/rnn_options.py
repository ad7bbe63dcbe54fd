"""Arguments that an RNN has in common with torch's modules, checked as they check them."""

import numbers
from collections.abc import Mapping
from typing import Any

from structnet.execute.torch_layer.counterpart import KINDS, Counterpart


def check_options(
    cell: Any,
    sizes: Mapping[str, Any],
    bias: Any,
    batch_first: Any,
    dropout: Any,
    proj_size: int,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """The options, with `proj_size` as the cell's option; errors of the types that torch raises.

    Arguments:
        cell: the name of the cell, or a callable that makes it.
        sizes: the arguments that are sizes, by name.
        bias, batch_first, dropout, proj_size: the arguments of these names.
        options: options of the layers and the cell.
    """
    for name, value in {"bias": bias, "batch_first": batch_first}.items():
        if not isinstance(value, bool):
            raise TypeError(f"{name} should be of type bool, got: {type(value).__name__}")
    for name, size in sizes.items():
        if not isinstance(size, int):
            raise TypeError(f"{name} should be of type int, got: {type(size).__name__}")
        if size < 1:
            raise ValueError(f"{name} must be greater than zero: {name} is at least 1, got {size}")
    is_number = isinstance(dropout, numbers.Real) and not isinstance(dropout, bool)
    if not is_number or not 0 <= float(dropout) <= 1:
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
            "proj_size and projection_size are two names of one option, got "
            f"{proj_size} and {options['projection_size']}; leave one of them out"
        )
    return {**options, "projection_size": proj_size}


def has_torch_form(
    counterpart: Counterpart | None, cell: Any, bias: bool, biases: int | None
) -> bool:
    """Whether the parameters are torch's; ValueError for biases that the cell can't have."""
    if biases not in (None, 1, 2):
        raise ValueError(f"biases is 1, 2 as torch has them, or None, got {biases!r}")
    if counterpart is None:
        if not bias or biases == 2:
            asked = "biases=2" if bias else "bias=False"
            raise ValueError(
                f"{asked} is for cells that torch has, {sorted(KINDS.values())} with torch's "
                f"options, not for {cell!r} here; leave it out"
            )
        return False
    if not bias and biases is not None:
        raise ValueError(f"biases={biases} needs bias=True, got bias=False; leave one out")
    return biases != 1
