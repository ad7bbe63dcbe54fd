"""The floor: the matrix products alone that a training step of a recurrence needs.

N: nodes, n: nodes of a probe, K: slots.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from structnet.cell.states import as_states
from structnet.topology.plan import Plan

# A prime that divides no usual size: what grows with the nodes is a multiple of it.
PROBED = 7
PRODUCTS = ("mm", "addmm", "bmm", "baddbmm")


class Product(NamedTuple):
    """`count` products (rows, inner) @ (inner, columns), each with a right side of its own."""

    count: int
    rows: int
    inner: int
    columns: int

    @property
    def work(self) -> int:
        """Multiplications."""
        return self.count * self.rows * self.inner * self.columns


class Passes(NamedTuple):
    """One product of a step in all its levels, and whether its right side is a weight.

    With a weight the gradient of the right side is one product over all nodes after the sweep.
    """

    levels: tuple[Product, ...]
    has_weight: bool


class Floor:
    """The products of one training step: forward, and the gradients of both sides.

    They are those a step cannot do without. The input's product is one over all nodes, and so is
    the gradient of every weight; level 0 multiplies nothing but zeros with recurrent weights and is
    skipped; every other level takes one product for each that the cell's equations have, however
    many in-degrees its nodes have, and one for the gradient of what was multiplied. A cell's
    products are found by calling it on a few nodes and watching torch, so that a cell in plain
    PyTorch has a floor like any other. Elementwise work, sums of biases, gathers and copies are not
    part of it.
    """

    def __init__(self, cells: Sequence[Any], plans: Sequence[Plan], input_size: int):
        self.passes = [
            one
            for cell, plan in zip(cells, plans, strict=True)
            for one in _passes(cell, plan, input_size)
        ]

    @property
    def products(self) -> list[Product]:
        """Every product of the step, the forward ones first."""
        forward = [product for one in self.passes for product in one.levels]
        return forward + [product for one in self.passes for product in _backward(one)]

    def prepare(self, like: Tensor) -> Callable[[], None]:
        """A function that runs them back to back, on the device and in the type of `like`.

        Operands lie ready and results are written in place, so that nothing but products is timed.
        """
        runs = [_Run(one, like) for one in self.passes]

        def step() -> None:
            with torch.no_grad():
                for run in runs:
                    run.forward()
                for run in reversed(runs):
                    run.backward()

        return step


class _Run:
    """One product of a step with its operands."""

    def __init__(self, passes: Passes, like: Tensor):
        self.passes = passes
        first = passes.levels[0]
        count = 1 if passes.has_weight else first.count
        # Side by side, of which levels are slices.
        self.stops = [0]
        for product in passes.levels:
            self.stops.append(self.stops[-1] + product.rows)
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


def _backward(passes: Passes) -> list[Product]:
    """Gradients: of the left side level by level, the last first; then of the right side."""
    left = [Product(p.count, p.rows, p.columns, p.inner) for p in reversed(passes.levels)]
    count, _, inner, columns = passes.levels[0]
    return [*left, Product(count, inner, sum(p.rows for p in passes.levels), columns)]


def _passes(cell: Any, plan: Plan, input_size: int) -> list[Passes]:
    if not plan.num_nodes:
        return []
    like = next(cell.parameters())
    x = torch.randn(PROBED, input_size, dtype=like.dtype, device=like.device)
    with torch.no_grad():
        z, before = _watch(cell.project, x)
        steps = _step_products(cell, plan, z)
        states = [z.new_ones(PROBED, size) for size in cell.state_sizes]
        after = _watch(cell.output, z, *states)[1] if hasattr(cell, "output") else []
    once = [_passes_over([_scaled(one, plan.num_nodes)]) for one in (*before, *after)]
    return [*once, *map(_passes_over, steps)]


def _step_products(cell: Any, plan: Plan, z: Tensor) -> list[list["_Seen"]]:
    """Every recurrent product of the cell, level by level."""
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
    """A product as it was watched: its place among the call's, its shape, and which side grows."""

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
    """A product of the probe's nodes as one of so many."""
    if one.has_weight:
        return one._replace(rows=one.rows * nodes // PROBED)
    return one._replace(count=one.count * nodes // PROBED)


def _passes_over(levels: list[_Seen]) -> Passes:
    products = (Product(one.count, one.rows, one.inner, one.columns) for one in levels)
    return Passes(tuple(products), levels[0].has_weight)


class _Watch(TorchDispatchMode):
    """Notes the products that are run within; those of zeros need not be."""

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
        # Products of weights with weights, as in weight norm, do not grow with the nodes.
        if rows % PROBED == 0 and right.dim() == 2:
            self.seen.append(_Seen(self.place, 1, rows, inner, right.shape[-1], True))
        elif batch % PROBED == 0:
            self.seen.append(_Seen(self.place, batch, rows, inner, right.shape[-1], False))


def _watch(call: Callable[..., Any], *args: Any) -> tuple[Any, list[_Seen]]:
    with _Watch() as watch:
        found = call(*args)
    return found, watch.seen
