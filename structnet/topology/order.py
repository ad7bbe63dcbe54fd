"""Reordering of rows, from node order to rank order and back."""

from typing import Any

import torch
from torch import Tensor

from structnet.topology.plan import Plan


def by_rank(x: Tensor, plan: Plan) -> Tensor:
    """Rows in node order, as rows by rank."""
    return x if plan.is_in_order else reorder(x, plan.order, plan.rank)


def by_node(x: Tensor, plan: Plan) -> Tensor:
    """Rows by rank, as rows in node order."""
    return x if plan.is_in_order else reorder(x, plan.rank, plan.order)


def reorder(x: Tensor, index: Tensor, inverse: Tensor) -> Tensor:
    """`x[index]` for a permutation and its inverse, by which backward is a gather too."""
    return _Reorder.apply(x, index, inverse) if x.requires_grad else x.index_select(0, index)


class _Reorder(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, index: Tensor, inverse: Tensor) -> Tensor:
        return x.index_select(0, index)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        _, index, inverse = inputs
        ctx.save_for_backward(index, inverse)
        ctx.save_for_forward(index)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        index, inverse = ctx.saved_tensors
        return reorder(grad, inverse, index), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Tensor:
        (index,) = ctx.saved_tensors
        return tangent.index_select(0, index)
