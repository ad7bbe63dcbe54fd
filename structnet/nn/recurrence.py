"""Recurrence: one layer, a cell on a topology."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from structnet.cell.adapt import adapt
from structnet.cell.base import Cell
from structnet.cell.call import States
from structnet.execute.executor import Pass, Spec, check, choose
from structnet.execute.run import run, run_to_finals
from structnet.execute.transform import is_transformed
from structnet.nn.checks import check_given
from structnet.nn.noise import Noise
from structnet.registry.checked import Checked
from structnet.topology.foreign import is_data, is_networkx
from structnet.topology.order import by_node, by_rank
from structnet.topology.plan import Plan


class Recurrence(nn.Module, metaclass=Checked):
    """One recurrent layer: a cell with weights of its own in every direction of a topology.

    Called with x (N, input_size), one row per node in the order given, and the topology's plans, or
    a torch_geometric Batch or Data to plan, it returns (N, directions * output size) in that order.
    A cell that `reads_own` states of its node needs a topology with one initial state per node: it
    reads these, zeros by default.

    Arguments:
        topology: a name or an object.
        cell: a name, or a callable (input size, hidden size, arity) -> Cell.
        input_size: the size of a node's input.
        hidden_size: the size of the cell's states.
        executor: what runs the cell: auto, or a name such as reference. Where auto is batched,
            cells whose code is known are compiled on a CPU after 50,000 levels.
        save: what is stored for backward. gates: states and pre-activations; recompute (executors
            compiled and auto): states; windows: states at every sqrt(L)-th of L levels (gradient
            checkpointing); auto: gates where they fit, else recompute or windows (nn/saving.py).
        recurrent_dropout: the probability with which a unit of the states that are read is dropped.
        zoneout: the probability with which a unit keeps its state of the step before.
        weight_drop: the probability with which an entry of a recurrent weight is dropped.
        truncate: the number of levels that gradients flow back through at most; all by default.
        edge_size: the number of features of an edge, which are projected and added to the gates
            that come once per predecessor; None if edges have none.
        device, dtype: those of the weights; torch's defaults where None.
        options: the cell's, where it is given by name.

    >>> layer = sn.Recurrence("tree", "lstm", 16, 32)
    >>> layer(torch.randn(3, 16), layer.topology.plan([[[1, 2], [-1, -1], [-1, -1]]])).shape
    torch.Size([3, 32])
    """

    # Called with the pass of every direction before it runs, for diagnosis.
    observer: Callable[[Pass], None] | None = None
    # Whether `auto` compiles the cell in time; set before the first pass.
    compiles = True

    def __init__(
        self,
        topology: Any,
        cell: Callable[[int, int, int | None], Cell] | str,
        input_size: int,
        hidden_size: int,
        *,
        executor: str = "auto",
        save: Literal["auto", "gates", "recompute", "windows"] = "auto",
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
        self.executor, self.save, self.truncate = executor, save, truncate
        self.noise = Noise(recurrent_dropout, zoneout, weight_drop)
        self.topology = topology = _topology(topology)
        self.directions, self.arities = topology.directions, topology.arities
        self.input_size, make = input_size, _maker(cell, options)
        # Before anything is drawn: random numbers come from that device.
        with torch.device(device or torch.get_default_device()):
            self.cells: Any = nn.ModuleList()
            self.input_sizes: list[int] = []
            for arity in topology.arities:
                size = input_size + topology.in_turn * sum(one.output_size for one in self.cells)
                self.input_sizes.append(size)
                self.cells.append(adapt(make(size, hidden_size, arity), arity))
            self.edges: Any = None
            if edge_size is not None:
                from structnet.nn.edge_features import EdgeFeatures

                self.edges = EdgeFeatures(edge_size, list(self.cells))
        self._check()
        self.output_size = len(self.cells) * self.cells[0].output_size
        self.to(dtype=dtype)

    def _check(self) -> None:
        # Whoever follows a call need not read how its options were checked and fitted.
        from structnet.nn.option_checks import check_options, fit

        needs = self._needs(training=True)
        for cell in self.cells:
            fit(cell, self.topology)
        check_options(self.cells, needs, self.save, self.truncate)
        check(self.executor, [Spec(cell, needs) for cell in self.cells])
        self.noise.check(self.cells[0])

    def _needs(self, training: bool, with_states: bool | str = False) -> frozenset[str]:
        """What an executor has to take, by the names in `FEATURES`."""
        found = {
            "states": with_states is True,
            "finals": with_states == "final",
            "edges": self.edges is not None,
            "truncate": training and self.truncate is not None,
            self.save: self.save not in ("auto", "gates"),
        }
        return self.noise.needs(training) | {name for name, needed in found.items() if needed}

    def reset_parameters(self) -> None:
        """Reset all weights to what a new layer has, given the same random state."""
        from structnet.cell.reset import reset

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
        return_states: bool | Literal["final"] = False,
        executor: str | None = None,
    ) -> Any:
        """The output h, or (h, states) with every state (N, directions * size) of the cell.

        Arguments:
            x: the input, (N, input_size).
            plans: one per direction; or a torch_geometric Batch or Data, or a networkx graph.
            edge_x: (E, edge_size), the features of the edges in the order that the samples list
                them, where the layer has an `edge_size`; by default the `edge_attr` of a Data.
            initial: one tensor (M, directions * size) per state for the M initial states of the
                plans (on chains one per sample, on ordered graphs one per node); zeros by default.
            return_states: whether the states are returned; final for those of every sample's last
                node alone, (B, directions * size): on chains what the next window starts from.
            executor: what runs the cell, in place of the layer's own.

        ValueError for sizes that don't fit the plans, for what `Topology.plan` rejects, and for an
        executor that does not take what the layer needs.
        """
        if getattr(self, "_is_replica", False):
            _register_parameters(self)
        if is_data(plans) or is_networkx(plans):
            if self.edges is not None and edge_x is None:
                edge_x = getattr(plans, "edge_attr", None)
            plans = [plan.to(x.device) for plan in self.topology.plan(plans)]
        check_given(self, x, plans)
        if return_states not in (False, True, "final"):
            raise ValueError(f"return_states is False, True or 'final', got {return_states!r}")
        starts = self._split_initial(initial, plans)
        edges = self._edge_terms(edge_x, plans)
        found, read, executor = [], x, executor or self.executor
        for cell, plan, start, terms in zip(self.cells, plans, starts, edges, strict=True):
            found.append(self._run(cell, plan, read, start, terms, executor, return_states))
            read = torch.cat([read, found[-1][0]], dim=1) if self.topology.in_turn else x
        outputs, states = zip(*found, strict=True)
        is_state = return_states is True and all(state and h is state[0] for h, state in found)
        if not (is_state or return_states):
            # Executors of different directions may have left their states out or not.
            return _side_by_side(outputs)
        states = tuple(map(_side_by_side, zip(*states, strict=True)))
        h = states[0] if is_state else _side_by_side(outputs)
        return (h, states) if return_states else h

    def stepper(self, batch: int = 1) -> Any:
        """A `Stepper`: the layer fed one step (batch, input_size) at a time; for chains.

        Each step returns the output (batch, output size). Its state is one tensor (batch, size) per
        state of the cell, as `initial` takes them.
        """
        from structnet.nn.stepper import Stepper

        return Stepper.of_recurrence(self, batch)

    def _run(
        self,
        cell: Cell,
        plan: Plan,
        x: Tensor,
        initial: States | None,
        edges: Tensor | None,
        executor: str,
        with_states: bool | str,
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """One direction: the output and the states in node order, states only if wanted."""
        x = by_rank(_with_own(cell, x, initial), plan)
        needs = self._needs(self.training, with_states)
        if is_transformed():
            needs |= {"transforms"}
        chosen = choose(executor, spec := Spec(cell, needs, plan, x))
        if executor == "auto" and chosen.name == "batched":
            from structnet.nn.compiling import in_time

            chosen = in_time(self, spec)
        truncate = self.truncate if self.training else None
        masks = self.noise.masks(cell, plan, x, self.training)
        save = "gates" if self.save == "auto" else self.save
        p = Pass(cell, plan, x, initial, edges, masks, save, truncate, with_states is True)
        if self.save == "auto":
            from structnet.nn.saving import fitting

            chosen, p = fitting(self, spec, chosen, p)
        if self.observer is not None:
            self.observer(p)
        with self.noise.dropped_weights(cell, self.training):
            output, states = (run_to_finals if with_states == "final" else run)(chosen, p)
        if with_states == "final":
            return by_node(output, plan), states
        is_state = bool(states) and output is states[0]
        wanted = states if with_states else states[: int(is_state)]
        ordered = [by_node(state, plan) for state in wanted]
        if is_state:
            return ordered[0], ordered
        return by_node(output, plan), ordered

    def _edge_terms(self, edge_x: Tensor | None, plans: Sequence[Plan]) -> Sequence[Tensor | None]:
        """What edges add to gates, one tensor per direction."""
        if (edge_x is None) != (self.edges is None):
            raise ValueError(
                "this layer has no edge_size for edge_x: make it with edge_size=D, or leave edge_x "
                "out"
                if self.edges is None
                else f"this layer reads features of edges: give edge_x (edges, "
                f"{self.edges.edge_size}), or make it without edge_size"
            )
        return [None] * len(plans) if self.edges is None else self.edges(edge_x, plans)

    def _split_initial(
        self, initial: Sequence[Tensor] | None, plans: Sequence[Plan]
    ) -> list[States | None]:
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


def _register_parameters(replica: nn.Module) -> None:
    """Register the parameters that a replica of DataParallel has as attributes, for executors."""
    for module in replica.modules():
        module._parameters.update(getattr(module, "_former_parameters", {}))


def _with_own(cell: Cell, x: Tensor, initial: States | None) -> Tensor:
    """The input, followed by the initial states of the nodes themselves if the cell reads them."""
    if not cell.reads_own:
        return x
    if initial is None:
        return nn.functional.pad(x, (0, sum(cell.state_sizes)))
    return torch.cat([x, *initial], dim=1)


def _side_by_side(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=1)


def _topology(topology: Any) -> Any:
    """A topology, given itself or by name."""
    from structnet.registry import topologies

    return topologies.create(topology) if isinstance(topology, str) else topology


def _maker(cell: Any, options: dict[str, Any]) -> Callable[[int, int, int | None], nn.Module]:
    """A callable that makes cells, given itself or by name with options."""
    from structnet.registry import cells

    if isinstance(cell, str):
        return partial(cells.create, cell, **options)
    if options:
        raise ValueError(f"options {sorted(options)} are for a cell given by name")
    return cell
