"""What an executor is: an object that runs a pass, and says what it takes and what it refuses.

N: nodes, I: input size, G: columns of all gates, M: initial states, R: places in the plan's rows,
H: size of the output, S: size of all states.
"""

import abc
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from structnet.cell.base import Cell
from structnet.cell.call import States
from structnet.cell.hooks import compute_weights
from structnet.registry.suggest import did_you_mean
from structnet.topology.plan import Plan

# What a layer may need of an executor, and what messages call it.
FEATURES = {
    "states": "states of every node",
    "edges": "edge features",
    "dropout": "recurrent_dropout",
    "zoneout": "zoneout",
    "weight_drop": "weight_drop",
    "truncate": "truncate",
    "windows": "save='windows'",
    "recompute": "save='recompute'",
    "transforms": "transformations of torch.func (vmap, grad, jvp, jacrev) and forward-mode "
    "derivatives",
}


class Masks(NamedTuple):
    """Noise of a pass, by rank.

    Arguments:
        dropout: (N, H), what the predecessors' outputs are multiplied with in recurrent products.
        zoneout: (N, S), the share of the predecessors' mean that every unit of a state keeps.
    """

    dropout: Tensor | None = None
    zoneout: Tensor | None = None

    def at(self, nodes: slice) -> "Masks":
        return Masks(*(None if mask is None else mask[nodes] for mask in self))


NO_MASKS = Masks()


@dataclass(frozen=True, eq=False)
class Pass:
    """One direction of one layer on one batch: all that an executor needs.

    Arguments:
        cell: the cell.
        plan: the order of the nodes.
        x: the input by rank, (N, I).
        initial: the initial states (M, size), one per state of the cell; zeros where None.
        edges: what features of edges add to gates, (R, edge_columns).
        masks: dropout and zoneout.
        save: what is stored for backward: gates, recompute or windows.
        truncate: the levels that gradients flow back through; all where None.
        with_states: whether the states of every node are wanted, and not the output alone.
    """

    cell: Cell
    plan: Plan
    x: Tensor
    initial: States | None = None
    edges: Tensor | None = None
    masks: Masks = NO_MASKS
    save: str = "gates"
    truncate: int | None = None
    with_states: bool = True

    @cached_property
    def z(self) -> Tensor:
        """The input's half of every gate by rank, (N, G): one product for all nodes."""
        compute_weights(self.cell)
        return self.cell.project(self.x)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the states; under autocast that of z is lower."""
        return next(self.cell.parameters(), self.x).dtype

    def with_output(self, states: States) -> tuple[Tensor, States]:
        """The output and the states, of the states by rank."""
        compute_weights(self.cell)
        return self.cell.output(self.z, *states), states

    def window(self, plan: Plan, nodes: slice, initial: States | None, **others: object) -> "Pass":
        """The pass over some of the nodes, as a plan of their own."""
        masks = self.masks.at(nodes)
        part = replace(self, plan=plan, x=self.x[nodes], initial=initial, masks=masks, **others)
        if "z" in vars(self):
            # Projected already, by one product for all nodes.
            vars(part)["z"] = self.z[nodes]
        return part


class Spec(NamedTuple):
    """What a layer asks of an executor.

    Arguments:
        cell: the cell.
        needs: names in `FEATURES`.
        plan: the plan; None while a layer is made.
        x: the input; None while a layer is made.
    """

    cell: Cell
    needs: frozenset[str]
    plan: Plan | None = None
    x: Tensor | None = None


class Executor(abc.ABC):
    """Runs a cell over a plan; registered by `@sn.executors.register(name)`.

    `takes` are the names in `FEATURES` of what it can do beside that. `reads_weights` says that it
    does not call the cell, but computes with its weights in the layout of `sn.Cell`, `needs_gpu`
    that a run begun with it goes on with `auto` where there is no GPU.
    """

    name: str = ""
    takes: ClassVar[frozenset[str]] = frozenset()
    reads_weights: ClassVar[bool] = False
    needs_gpu: ClassVar[bool] = False

    def refuses(self, spec: Spec) -> str | None:
        """Why it can't run what is asked for; None where it can."""
        return None

    @abc.abstractmethod
    def run(self, p: Pass) -> tuple[Tensor, States]:
        """The output (N, H) and the states of every node (N, size), by rank.

        States may be left out (an empty tuple) where `p.with_states` is false.
        """


class Auto(Executor):
    """The first of `ORDER` that takes what a layer needs."""

    takes = frozenset(FEATURES) - {"recompute"}

    def refuses(self, spec: Spec) -> str | None:
        return reason(find(ORDER[-1]), spec)

    def run(self, p: Pass) -> tuple[Tensor, States]:
        raise AssertionError("`choose` gives the executor that it stands for")


# Of these `auto` takes the first that refuses nothing.
ORDER = ("torch", "scan", "batched", "reference")
_made: dict[str, Executor] = {}


def find(name: str) -> Executor:
    """The executor of a name; ValueError where there is none."""
    if name not in _made:
        # Plugins may register others.
        from structnet.registry import executors

        if name not in executors:
            raise ValueError(f"no executor {name!r} {did_you_mean(name, executors.names())}")
        _made[name] = executors.create(name)
        _made[name].name = name
    return _made[name]


def reason(executor: Executor, spec: Spec) -> str | None:
    """Why an executor can't run what is asked for, with the way out; None where it can."""
    for need in sorted(spec.needs - executor.takes):
        able = able_to(need)
        return (
            f"executor {executor.name!r} takes no {FEATURES[need]}, only {', '.join(able)} "
            f"{'do' if len(able) > 1 else 'does'}; call or make the recurrence with "
            f"executor={'auto' if 'auto' in able else able[0]!r}"
        )
    return executor.refuses(spec)


def able_to(need: str) -> list[str]:
    """The names of the executors that take a feature."""
    from structnet.registry import executors

    return [name for name in executors.names() if need in find(name).takes]


def check(name: str, specs: Iterable[Spec]) -> None:
    """ValueError where the executor of a name can't run what is asked for."""
    executor = find(name)
    for spec in specs:
        if (why := reason(executor, spec)) is not None:
            raise ValueError(why)


def choose(name: str, spec: Spec) -> Executor:
    """The executor that runs; ValueError where the one of a name can't."""
    if name != "auto":
        check(name, [spec])
        return find(name)
    for other in map(find, ORDER):
        if spec.needs <= other.takes and other.refuses(spec) is None:
            return other
    check("auto", [spec])
    raise AssertionError(f"none of {ORDER} runs {spec}")
