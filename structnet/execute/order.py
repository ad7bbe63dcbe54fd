"""Rows from node order to rank order and back."""

from typing import Any

import torch
from torch import Tensor


def reorder(x: Tensor, index: Tensor, inverse: Tensor) -> Tensor:
    """`x[index]` for a permutation, whose backward is a gather as well."""
    return _Reorder.apply(x, index, inverse)


class _Reorder(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(index, inverse)
        return x.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        index, inverse = ctx.saved_tensors
        return _Reorder.apply(grad, inverse, index), None, None
