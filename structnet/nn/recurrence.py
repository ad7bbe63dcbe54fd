"""Recurrence: one layer, a cell on a topology."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from structnet import registry
from structnet.cell.base import Cell
from structnet.cell.hooks import compute_weights
from structnet.cell.renew import reset
from structnet.execute.checkpoint import check_save, run_checkpointed
from structnet.execute.executor import SCANS
from structnet.execute.executor import executor as find_executor
from structnet.execute.fused import FUSED, check_fused_layer
from structnet.execute.order import reorder
from structnet.execute.scan import can_scan
from structnet.execute.selective import scan_output
from structnet.execute.transform import executor_under_transforms, is_transformed
from structnet.execute.windows import run_windows
from structnet.nn.checks import check_cells, check_given
from structnet.nn.edge_features import EdgeFeatures, check_executor
from structnet.nn.noise import Noise
from structnet.topology.base import Topology
from structnet.topology.edges import is_data, is_networkx
from structnet.topology.plan import Plan


class Recurrence(nn.Module):
    """One recurrent layer: a cell of its own in every direction of a topology.

    `topology` and `cell` are names or objects; a cell object is a callable (input size, hidden
    size, arity) -> Cell. `options` are the cell's, where it is named.

    Where it trains, `recurrent_dropout` and `zoneout` act on the states that nodes read and leave,
    `weight_drop` on recurrent weights; see `Noise`. Gradients flow back through at most `truncate`
    levels, cut where a window of so many begins.

    For the way back an executor keeps the states and, where `save` is gates, what came of products
    with weights and of the cell; with recompute the compiled executor keeps the states alone, with
    windows any executor keeps only what every sqrt(L)-th of L levels reads of those before.

    Its weights are made on `device`, and are of type `dtype`, as torch's defaults are where these
    are None.

    With `edge_size`, features of edges are projected and added to the gates that come once per
    predecessor, on topologies whose predecessors are edges.

    Called with x (N, input_size), the nodes of the batch in the order given, and the topology's
    plans, or a torch_geometric Batch or Data to plan, it gives (N, directions * hidden_size) in the
    same order.

    A cell that `reads_own` states of its node is for topologies with one initial state a node:
    these are the states, null states where none are given.
    """

    def __init__(
        self,
        topology: Topology | str,
        cell: Callable[[int, int, int | None], Cell] | str,
        input_size: int,
        hidden_size: int,
        *,
        executor: str = "auto",
        save: str = "gates",
        recurrent_dropout: float = 0.0,
        zoneout: float = 0.0,
        weight_drop: float = 0.0,
        truncate: int | None = None,
        edge_size: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **options: Any,
    ):
        """ValueError for an unknown executor or option, KeyError for an unknown name."""
        super().__init__()
        find_executor(executor)
        self.executor, self.save = executor, save
        self.noise = Noise(recurrent_dropout, zoneout, weight_drop)
        if truncate is not None and (not isinstance(truncate, int) or truncate < 1):
            raise ValueError(f"option 'truncate' is at least 1 level, got {truncate!r}")
        self.truncate = truncate
        if isinstance(topology, str):
            topology = registry.topologies.create(topology)
        if not isinstance(cell, str) and options:
            raise ValueError(f"options {sorted(options)} are for a cell given by name")
        self.topology = topology
        self.directions, self.arities = topology.directions, topology.arities
        self.input_size = input_size
        # Before anything is drawn: random numbers come from that device.
        with torch.device(device or torch.get_default_device()):
            self.cells = nn.ModuleList(
                registry.cells.create(cell, input_size, hidden_size, arity, **options)
                if isinstance(cell, str)
                else cell(input_size, hidden_size, arity)
                for arity in topology.arities
            )
        check_cells(self.cells, executor, topology)
        has_noise = truncate is not None or any(vars(self.noise).values())
        check_save(save, executor, self.cells, has_noise)
        if executor in FUSED:
            check_fused_layer(executor, self.cells, self.noise)
        self.edges = None
        if edge_size is not None:
            with torch.device(device or torch.get_default_device()):
                self.edges = EdgeFeatures(edge_size, list(self.cells), executor, save)
        self.noise.check(self.cells[0], self.cells[0].state_sizes)
        self.output_size = len(self.cells) * _output_size(self.cells[0])
        self.to(dtype=dtype)

    def reset_parameters(self) -> None:
        """Put all weights back to what a new layer has, given the same random state."""
        reset(self.cells)
        if self.edges is not None:
            self.edges.reset_parameters()

    # A sweep is a node of autograd's graph with graphs of its own inside: nothing to trace.
    @torch.compiler.disable
    def forward(
        self,
        x: Tensor,
        plans: Any,
        *,
        edge_x: Tensor | None = None,
        initial: Sequence[Tensor] | None = None,
        return_states: bool = False,
        executor: str | None = None,
    ) -> Tensor | tuple[Tensor, tuple[Tensor, ...]]:
        """The output h, or (h, states) with every state (N, directions * size) of the cell.

        `edge_x` (E, edge_size) are the features of the edges, in the order that the samples list
        them, where the layer has an `edge_size`; of a torch_geometric Batch or Data, its
        `edge_attr`. `initial` has a tensor (M, directions * size) per state for the M initial
        states of the plans (on chains one a sample, on ordered graphs one a node); zeros where it
        is None. ValueError for sizes that don't fit the plans, and for what `Topology.plan`
        refuses.
        """
        if getattr(self, "_is_replica", False):
            _own_again(self)
        if is_data(plans) or is_networkx(plans):
            if self.edges is not None and edge_x is None:
                edge_x = getattr(plans, "edge_attr", None)
            plans = [plan.to(x.device) for plan in self.topology.plan(plans)]
        executor = executor_under_transforms(executor or self.executor)
        run = find_executor(executor)
        again = self.save == "recompute" and executor == "compiled"
        if self.truncate is not None and self.training:
            run = partial(run_windows, run, self.truncate)
        check_given(self, x, plans)
        starts = self._split_initial(initial, plans)
        edges = self._edge_terms(edge_x, plans, executor)
        by_direction = [
            self._run_direction(
                partial(self._step, run, again, return_states, cell, own),
                cell,
                _with_own(cell, x, start),
                plan,
                start,
                return_states,
            )
            for cell, plan, start, own in zip(self.cells, plans, starts, edges, strict=True)
        ]
        outputs, states = zip(*by_direction, strict=True)
        is_state = all(state and h is state[0] for h, state in by_direction)
        states = tuple(map(_side_by_side, zip(*states, strict=True)))
        h = states[0] if is_state else _side_by_side(outputs)
        return (h, states) if return_states else h

    def _step(
        self,
        run: Callable,
        again: bool,
        with_states: bool,
        cell: Cell,
        edges: Tensor | None,
        plan: Plan,
        x: Tensor,
        initial: tuple[Tensor, ...] | None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The output and the states by rank; `again`, z is made where it is needed."""
        compute_weights(cell)
        if again:
            states = run(cell, plan, x, initial, project=cell.project)
            return states[0], states
        z = cell.project(x)
        if run in SCANS and can_scan(cell, plan) and not any(vars(self.noise).values()):
            keep = with_states or self.save == "windows"
            return scan_output(cell, plan, z, initial, keep)
        states = self.noise.run(run, cell, plan, z, initial, self.training, edges)
        compute_weights(cell)
        return cell.output(z, *states) if hasattr(cell, "output") else states[0], states

    def _run_direction(
        self,
        step: Callable,
        cell: Cell,
        x: Tensor,
        plan: Plan,
        initial: tuple[Tensor, ...] | None,
        with_states: bool,
    ) -> tuple[Tensor, list[Tensor]]:
        """The output and the states in node order, from windows only where they are wanted."""

        x = reorder(x, plan.order, plan.rank)
        # It only saves memory.
        in_windows = self.save == "windows" and torch.is_grad_enabled() and not is_transformed()
        if in_windows and plan.num_nodes:
            like = next(cell.parameters(), x)
            initial = initial or tuple(
                like.new_zeros(plan.num_initial, size) for size in cell.state_sizes
            )
            output, states = run_checkpointed(step, cell, plan, x, initial, with_states)
        else:
            output, states = step(plan, x, initial)
        is_state = bool(states) and output is states[0]
        wanted = states if with_states else states[: int(is_state)]
        ordered = [reorder(state, plan.rank, plan.order) for state in wanted]
        if is_state:
            return ordered[0], ordered
        return reorder(output, plan.rank, plan.order), ordered

    def _edge_terms(
        self, edge_x: Tensor | None, plans: Sequence[Plan], executor: str
    ) -> Sequence[Tensor | None]:
        """What edges add to gates, a direction each."""
        if (edge_x is None) != (self.edges is None):
            raise ValueError(
                "this layer has no edge_size for edge_x: make it with edge_size=D, or leave edge_x "
                "out"
                if self.edges is None
                else f"this layer reads features of edges: give edge_x (edges, "
                f"{self.edges.edge_size}), or make it without edge_size"
            )
        if self.edges is None:
            return [None] * len(plans)
        check_executor(executor)
        return self.edges(edge_x, plans)

    def _split_initial(
        self, initial: Sequence[Tensor] | None, plans: Sequence[Plan]
    ) -> list[tuple[Tensor, ...] | None]:
        if initial is None:
            return [None] * len(plans)
        count = len(plans)
        shapes = [(plans[0].num_initial, count * size) for size in self.cells[0].state_sizes]
        if isinstance(initial, Tensor):
            raise ValueError(f"initial states are a sequence of tensors {shapes}, got one tensor")
        given = [tuple(state.shape) for state in initial]
        if given != shapes:
            raise ValueError(f"initial states are of shapes {shapes}, got {given}")
        chunks = [state.chunk(count, dim=1) for state in initial]
        return [tuple(chunk[direction] for chunk in chunks) for direction in range(count)]


def _own_again(replica: nn.Module) -> None:
    """Make parameters of what DataParallel put in their places, as executors ask cells for them."""
    for module in replica.modules():
        module._parameters.update(getattr(module, "_former_parameters", {}))


def _with_own(cell: Cell, x: Tensor, initial: tuple[Tensor, ...] | None) -> Tensor:
    """The input, behind it the initial states of the nodes themselves where the cell reads them."""
    if not getattr(cell, "reads_own", False):
        return x
    if initial is None:
        return nn.functional.pad(x, (0, sum(cell.state_sizes)))
    return torch.cat([x, *initial], dim=1)


def _side_by_side(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _output_size(cell: nn.Module) -> int:
    return getattr(cell, "output_size", None) or cell.state_sizes[0]
