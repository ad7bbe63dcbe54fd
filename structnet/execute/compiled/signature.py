"""What a cell is traced for, and the products that its step is cut at."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Signature:
    """What a cell is traced for.

    Arguments:
        columns: the columns of z, and of the masks of dropout and zoneout beside it.
        slots: the number of predecessors; None where it varies.
        alone: whether the nodes have no predecessors.
        counts: whether a mask says which slots count.
        dtype: the dtype of z.
        state_dtype: the dtype of the states.
        device: the device.
    """

    columns: tuple[int, int, int]
    slots: int | None
    alone: bool
    counts: bool
    dtype: torch.dtype
    state_dtype: torch.dtype
    device: torch.device


@dataclass(frozen=True)
class Product:
    """y = x w, x (rows, inner), y (rows, columns).

    Arguments:
        inner, columns: the shape of w.
        dtype: the dtype of y.
        per_slot: whether there is one row per predecessor, in place of one per node.
        state: the state of the predecessors that x consists of; None where x is computed.
    """

    inner: int
    columns: int
    dtype: torch.dtype
    per_slot: bool
    state: int | None


def tensors_of(cell: nn.Module) -> dict[str, Tensor]:
    """A cell's parameters and buffers."""
    return {**dict(cell.named_parameters()), **dict(cell.named_buffers())}
