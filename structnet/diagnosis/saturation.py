"""The gates of a cell: their saturation, and the spectral radii of their recurrent matrices.

n: nodes, K: slots, H: hidden size.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import parametrize
from torch.overrides import TorchFunctionMode

from structnet.cell.base import Cell
from structnet.cell.call import States, as_states
from structnet.cell.frame import EdgeTerms, Frame, framed
from structnet.cell.hooks import compute_weights
from structnet.cell.linear import LinearCell
from structnet.cell.product import is_recurrent
from structnet.topology.plan import Plan

# Activations by the names of torch's functions, and where they count as saturated.
ACTIVATIONS = {"sigmoid": "sigmoid", "log_sigmoid": "sigmoid", "tanh": "tanh"}
# Functions whose result is another gate: 1 - f is open where f is closed.
TURNED = {"neg", "__neg__", "negative", "rsub", "__rsub__"}
LOW = {"sigmoid": 0.1, "coefficient": 0.1, "tanh": -0.9}
HIGH = 0.9


class Saturation(NamedTuple):
    """The share of a gate's values, over nodes and units, below `LOW` and above `HIGH`.

    Left- and right-saturated in Karpathy et al. (2015), "Visualizing and understanding recurrent
    networks", section 4.2, for gates; the bounds of candidates behind a tanh are -0.9 and 0.9.
    `largest` is the largest of all |values|.
    """

    activation: str
    low: float
    high: float
    largest: float


class Radius(NamedTuple):
    """The spectral radius of one block of a recurrent matrix.

    Arguments:
        gate: the gate.
        slot: its slot, where it exists once per slot.
        reads: the slot that the block multiplies, where there are several.
        measure: "spectral radius", the largest |eigenvalue|; "norm", the largest singular value,
            for a block that is not square; "entry", the largest |entry|, for a diagonal matrix.
        value: the value.
    """

    gate: str
    slot: int | None
    reads: int | None
    measure: str
    value: float


def gate_saturation(
    cell: Cell,
    plan: Plan,
    z: Tensor,
    states: States,
    initial: States | None,
    edges: Tensor | None = None,
) -> dict[str, Saturation]:
    """Gate -> its saturation, given z, the states of all nodes by rank and terms of edge features.

    Gates of the gate algebra have their names; sigmoids of other tensors are gates 1, 2, ... in the
    order of their calls. For linear cells the coefficients |a| are counted, not the gates that they
    are computed from. Gates for absent predecessors are left out.
    """
    first = plan.first_row
    buffers = [torch.cat([state.new_zeros(first, state.shape[1]), state]) for state in states]
    for buffer, start in zip(buffers, initial or (), strict=False):
        buffer[1:first] = start
    watch = _Watch(cell)
    # With all states known, nodes of as many slots are one call, whatever their level.
    for slots in {step.slots for step in plan.steps}:
        steps = [step for step in plan.steps if step.slots == slots]
        nodes = torch.cat([torch.arange(step.start, step.stop) for step in steps]).to(z.device)

        def read(values: Tensor, steps: Any = steps, slots: int = slots) -> Tensor:
            return torch.cat([values[step.reads] for step in steps]).unflatten(0, (-1, slots))

        rows = read(plan.rows)
        around = Frame(
            present=None if plan.counts is None else read(plan.counts).unsqueeze(2),
            edges=None if edges is None else EdgeTerms(read(edges)),
            observer=watch,
        )
        with torch.no_grad(), framed(around):
            watch.call(z[nodes], [buffer[rows] for buffer in buffers], rows > 0)
    return watch.saturation()


class _Watch(TorchFunctionMode):
    """Follows gates from `Cell.gates` to their activation.

    A tensor that is a gate has its name in an attribute `gate`; z has the names in `gates`.
    """

    def __init__(self, cell: Cell):
        super().__init__()
        self.cell: Any = cell
        self.names = (*cell.node_gates, *cell.edge_gates)
        self.counts: dict[str, tuple[str, Tensor]] = {}
        self.largest: dict[str, float] = {}

    def call(self, z: Tensor, states: list[Tensor], present: Tensor) -> None:
        """Call the cell for nodes with a mask (n, K) of present predecessors."""
        self.present, self.unnamed, self.counting = present, 0, True
        given: Any = z
        given.gates = self.cell.input_gates or self.names
        with self:
            out = as_states(self.cell(z, *states))
            self.cell.output(z, *out)

    @contextmanager
    def aside(self) -> Iterator[None]:
        self.counting = False
        try:
            yield
        finally:
            self.counting = True

    def coefficients(self, a: Tensor) -> None:
        self._count("a", "coefficient", a.abs())

    def gates(self, names: tuple[str, ...], values: tuple[Any, ...]) -> None:
        for name, gate in zip(names, values, strict=False):
            gate.gate = name

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        called = getattr(func, "__name__", "")
        if called == "split" and hasattr(args[0], "gates"):
            self.gates(args[0].gates, out)
        if not isinstance(out, Tensor) or not self.counting:
            return out
        name = next((one.gate for one in args if hasattr(one, "gate")), None)
        if called not in ACTIVATIONS:
            if name is not None and called not in TURNED:
                # A gate to which something is added is still the gate.
                self.gates((name,), (out,))
            return out
        activation = ACTIVATIONS[called]
        if activation == "sigmoid" and name is None:
            self.unnamed += 1
            name = f"gate {self.unnamed}"
        if name is not None:
            self._count(name, activation, out.exp() if called == "log_sigmoid" else out)
        return out

    def _count(self, name: str, activation: str, values: Tensor) -> None:
        if values.shape[:-1] == self.present.shape:
            values = values[self.present]
        if not values.numel():
            return
        low, high = values < LOW[activation], values > HIGH
        counts = torch.stack([low.sum(), high.sum(), torch.ones_like(low).sum()])
        if name in self.counts:
            counts = counts + self.counts[name][1]
        self.counts[name] = activation, counts
        self.largest[name] = max(self.largest.get(name, 0.0), values.abs().max().item())

    def saturation(self) -> dict[str, Saturation]:
        """The saturation by gate, in the cell's order of gates, then in the order of calls."""
        found = {}
        for name in dict.fromkeys([*self.names, *self.counts]):
            if name in self.counts:
                activation, counts = self.counts[name]
                low, high, total = counts.tolist()
                found[name] = Saturation(activation, low / total, high / total, self.largest[name])
        return found


@torch.no_grad()
def spectral_radii(cell: Any, saturation: dict[str, Saturation]) -> list[Radius]:
    """The radius of every block of the cell's parameters whose names begin with "recurrent".

    For a linear cell that is the diagonal matrix of its coefficients, whose largest entry is in
    `saturation`.
    """
    if isinstance(cell, LinearCell) and cell.is_linear and "a" in saturation:
        return [Radius("a", None, None, "entry", saturation["a"].largest)]
    found = []
    for name, weight in _weights(cell):
        if name == "diagonal_recurrent":
            found += _diagonal_radii(cell, weight)
        elif is_recurrent(name) and weight.numel():
            found += _block_radii(cell, name, weight.detach().double().cpu())
    return found


def _weights(cell: Any) -> Iterator[tuple[str, Tensor]]:
    """Names and values of the parameters of a cell's modules, as a call uses them.

    Under pruning, weight norm and parametrizations they are computed from the parameters.
    """
    for module in cell.modules():
        if isinstance(module, parametrize.ParametrizationList):
            continue
        compute_weights(module)
        computed = [name for name, one in vars(module).items() if isinstance(one, Tensor)]
        plain = [name for name in module._parameters if name.removesuffix("_orig") not in computed]
        for name in (*plain, *computed, *getattr(module, "parametrizations", ())):
            if (weight := getattr(module, name)) is not None:
                yield name, weight


def _diagonal_radii(cell: Any, weight: Tensor) -> Iterator[Radius]:
    """The radii of diagonal weights (K, gates, H) or (K, H)."""
    gates = cell.diagonal or cell.node_gates
    for slot, values in enumerate(weight.abs().amax(-1).reshape(len(weight), -1).tolist()):
        reads = slot if len(weight) > 1 else None
        for gate, value in zip(gates, values, strict=True):
            yield Radius(gate, None, reads, "entry", value)


def _block_radii(cell: Any, name: str, weight: Tensor) -> Iterator[Radius]:
    height, width = cell.output_size, cell.hidden_size
    is_blocks = weight.dim() == 2 and height > 0 and width > 0
    if not is_blocks or len(weight) % height or weight.shape[1] % width:
        yield Radius(name, None, None, "entry", weight.abs().max().item())
        return
    bands = weight.split(height)
    labels = _columns(cell, name, weight.shape[1] // width)
    for reads, band in enumerate(bands):
        for (gate, slot), block in zip(labels, band.split(width, dim=1), strict=True):
            read = reads if len(bands) > 1 else None
            if not block.isfinite().all():
                value = torch.inf
            elif height == width:
                value = torch.linalg.eigvals(block).abs().max().item()
            else:
                value = torch.linalg.matrix_norm(block, 2).item()
            measure = "spectral radius" if height == width else "norm"
            yield Radius(gate, slot, read, measure, value)


def _columns(cell: Any, name: str, count: int) -> list[tuple[str, int | None]]:
    """Gate and slot of every block of columns, as `Cell` lays them out."""
    labels: list[tuple[str, int | None]] = []
    if isinstance(cell, Cell) and name in ("recurrent", "recurrent_edge"):
        node, edge = (
            [gate for gate in gates if gate not in cell.diagonal]
            for gates in (cell.node_gates, cell.edge_gates)
        )
        slots = range(cell.arity or 1)
        several = len(slots) > 1
        labels = [(gate, None) for gate in node] if name == "recurrent" else []
        if cell.arity is not None or name == "recurrent_edge":
            labels += [(gate, slot if several else None) for gate, slot in product(edge, slots)]
    if len(labels) == count:
        return labels
    return [(name if count == 1 else f"{name} {block}", None) for block in range(count)]
