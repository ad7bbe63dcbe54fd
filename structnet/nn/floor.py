"""The floor: the time of the matrix products that a training step of a recurrence needs.

N: nodes, n: nodes of a probe, K: slots.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from structnet.cell.call import as_states
from structnet.topology.plan import Plan

# A prime, so that a size that is a multiple of it is most likely the number of nodes.
PROBED = 7
PRODUCTS = ("mm", "addmm", "bmm", "baddbmm")


class MatrixProduct(NamedTuple):
    """`count` products (rows, inner) @ (inner, columns), each with its own right operand."""

    count: int
    rows: int
    inner: int
    columns: int

    @property
    def work(self) -> int:
        """The number of multiplications."""
        return self.count * self.rows * self.inner * self.columns


class LevelProducts(NamedTuple):
    """One matrix product of the cell, in all levels.

    Arguments:
        levels: the product in each level.
        has_weight: whether the right operand is a weight, whose gradient is one product over all
            nodes after the sweep.
    """

    levels: tuple[MatrixProduct, ...]
    has_weight: bool


class Floor:
    """The matrix products that one training step needs: forward, and gradients of both operands.

    The product of the input with its weight is one over all nodes, and so is the gradient of every
    weight. Level 0 has no predecessors and no recurrent product. Every other level has each product
    of the cell's equations once, whatever the in-degrees of its nodes, and one for the gradient of
    the left operand. Elementwise operations, biases, gathers and copies are not included.

    The products are found by calling the cell on a few nodes and watching torch, so that any cell
    in plain PyTorch has a floor.

    Arguments:
        cells: of the layer, one per direction.
        plans: of the batch, one per direction.
        input_sizes: what they read of a node, one per direction.
    """

    def __init__(self, cells: Sequence[Any], plans: Sequence[Plan], input_sizes: Sequence[int]):
        self.by_level = [
            one
            for cell, plan, size in zip(cells, plans, input_sizes, strict=True)
            for one in _products_of(cell, plan, size)
        ]

    @property
    def products(self) -> list[MatrixProduct]:
        """All products of the step, those of forward first."""
        forward = [product for one in self.by_level for product in one.levels]
        return forward + [product for one in self.by_level for product in _backward(one)]

    def prepare(self, like: Tensor) -> Callable[[], None]:
        """A function that runs the products, with the device and the dtype of `like`.

        Operands and results are allocated here, so that the function does nothing else.
        """
        runs = [_Run(one, like) for one in self.by_level]

        def step() -> None:
            with torch.no_grad():
                for run in runs:
                    run.forward()
                for run in reversed(runs):
                    run.backward()

        return step


class _Run:
    """A product in all levels, with its operands."""

    def __init__(self, product: LevelProducts, like: Tensor):
        first = product.levels[0]
        count = 1 if product.has_weight else first.count
        # The operands of a level are slices of one tensor.
        self.stops = [0]
        for level in product.levels:
            self.stops.append(self.stops[-1] + level.rows)
        rows = self.stops[-1]
        self.x, self.grad_x = (like.new_empty(count, rows, first.inner) for _ in range(2))
        self.y = like.new_empty(count, rows, first.columns)
        self.w, self.grad_w = (like.new_empty(count, first.inner, first.columns) for _ in range(2))
        self.x.normal_()
        self.w.normal_().mul_(first.inner**-0.5)

    def forward(self) -> None:
        for a, b in self._slices():
            _multiply(self.x[:, a:b], self.w, self.y[:, a:b])

    def backward(self) -> None:
        for a, b in reversed(self._slices()):
            _multiply(self.y[:, a:b], self.w.mT, self.grad_x[:, a:b])
        _multiply(self.x.mT, self.y, self.grad_w)

    def _slices(self) -> list[tuple[int, int]]:
        return list(zip(self.stops, self.stops[1:], strict=False))


def _multiply(left: Tensor, right: Tensor, out: Tensor) -> None:
    if len(left) == 1:
        torch.mm(left[0], right[0], out=out[0])
    else:
        torch.bmm(left, right, out=out)


def _backward(product: LevelProducts) -> list[MatrixProduct]:
    """The gradients: of left operands level by level, the last first; then of the right operand."""
    left = [MatrixProduct(p.count, p.rows, p.columns, p.inner) for p in reversed(product.levels)]
    count, _, inner, columns = product.levels[0]
    return [*left, MatrixProduct(count, inner, sum(p.rows for p in product.levels), columns)]


def _products_of(cell: Any, plan: Plan, input_size: int) -> list[LevelProducts]:
    if not plan.num_nodes:
        return []
    like = next(cell.parameters())
    x = torch.randn(PROBED, input_size, dtype=like.dtype, device=like.device)
    with torch.no_grad():
        z, before = _watch(cell.project, x)
        steps = _step_products(cell, plan, z)
        states = [z.new_ones(PROBED, size) for size in cell.state_sizes]
        after = _watch(cell.output, z, *states)[1]
    once = [_over_levels([_scaled(one, plan.num_nodes)]) for one in (*before, *after)]
    return [*once, *map(_over_levels, steps)]


def _step_products(cell: Any, plan: Plan, z: Tensor) -> list[list["_Seen"]]:
    """The recurrent products of the cell, each by level."""
    found: dict[tuple[int, int, int], dict[int, _Seen]] = {}
    probes: dict[tuple[int, bool], list[_Seen]] = {}
    level = 0
    for start, stop, slots, _ in plan.steps:
        while stop > plan.levels[level + 1]:
            level += 1
        probe = (slots, level == 0)
        if probe not in probes:
            fill = z.new_zeros if level == 0 else z.new_ones
            states = [fill(PROBED, slots, size) for size in cell.state_sizes]
            probes[probe] = _watch(lambda *args: as_states(cell(*args)), z, *states)[1]
        for one in probes[probe]:
            levels = found.setdefault((one.place, one.inner, one.columns), {})
            scaled = _scaled(one, stop - start)
            if level in levels:
                scaled = scaled.plus(levels[level])
            levels[level] = scaled
    return [list(levels.values()) for levels in found.values()]


class _Seen(NamedTuple):
    """A product of a probe: its place in the call, its shape, and whether its rows are nodes."""

    place: int
    count: int
    rows: int
    inner: int
    columns: int
    has_weight: bool

    def plus(self, other: "_Seen") -> "_Seen":
        if self.has_weight:
            return self._replace(rows=self.rows + other.rows)
        return self._replace(count=self.count + other.count)


def _scaled(one: _Seen, nodes: int) -> _Seen:
    """The product for a number of nodes, from that of the probe."""
    if one.has_weight:
        return one._replace(rows=one.rows * nodes // PROBED)
    return one._replace(count=one.count * nodes // PROBED)


def _over_levels(levels: list[_Seen]) -> LevelProducts:
    products = (MatrixProduct(one.count, one.rows, one.inner, one.columns) for one in levels)
    return LevelProducts(tuple(products), levels[0].has_weight)


class _Watch(TorchDispatchMode):
    """Records the products that are run inside, but for those of zeros."""

    def __init__(self):
        super().__init__()
        self.seen: list[_Seen] = []
        self.place = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ in PRODUCTS:
            left, right = args[-2:]
            self.place += 1
            if left.numel() and right.numel() and bool(left.any()):
                self._note(left, right)
        return func(*args, **(kwargs or {}))

    def _note(self, left: Tensor, right: Tensor) -> None:
        *count, rows, inner = left.shape
        batch = count[0] if count else 1
        # Products of weights with weights, as in weight norm, do not depend on the nodes.
        if rows % PROBED == 0 and right.dim() == 2:
            self.seen.append(_Seen(self.place, 1, rows, inner, right.shape[-1], True))
        elif batch % PROBED == 0:
            self.seen.append(_Seen(self.place, batch, rows, inner, right.shape[-1], False))


def _watch(call: Callable[..., Any], *args: Any) -> tuple[Any, list[_Seen]]:
    with _Watch() as watch:
        found = call(*args)
    return found, watch.seen
