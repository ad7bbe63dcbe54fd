"""Nodes of a graph of torch operations: what they multiply, and what they are made of."""

from collections.abc import Container
from typing import Any

import torch
from torch import Tensor, fx

aten = torch.ops.aten
# What leaves numbers as they are and in their order.
VIEWS = {
    aten.view.default,
    aten._unsafe_view.default,
    aten.squeeze.dim,
    aten.unsqueeze.default,
    aten.clone.default,
    aten.alias.default,
}
# What makes zeros of zeros.
LINEAR = VIEWS | {
    aten.expand.default,
    aten.sum.dim_IntList,
    aten.mean.dim,
    aten.permute.default,
    aten.transpose.int,
    aten.slice.Tensor,
    aten.select.int,
    aten._to_copy.default,
}


def factors_of(product: fx.Node) -> tuple[fx.Node, fx.Node]:
    """What is multiplied: x and the weight."""
    x, weight = product.args
    assert isinstance(x, fx.Node) and isinstance(weight, fx.Node)
    return x, weight


def source_of(node: Any, operations: Container[Any]) -> fx.Node:
    """What a node was before some operations, each of which takes it as its first argument."""
    while node.target in operations:
        node = node.args[0]
    return node


def expression(size: Any) -> Any:
    """A size as a symbolic expression, or the number that it is."""
    return size.node.expr if isinstance(size, torch.SymInt) else size


def copy(into: Tensor, x: Tensor, non_blocking: bool = False) -> Tensor:
    """`aten.copy`, which for elements of a view has no derivative."""
    return x.to(into.dtype).expand(into.shape)


def addmm(bias: Tensor, x: Tensor, w: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """`aten.addmm` with a product of its own."""
    return beta * bias + alpha * (x @ w)
