"""What an executor is: an object that runs a pass, and says what it takes and what it refuses.

N: nodes, I: input size, G: columns of all gates, M: initial states, R: length of the plan's rows,
H: size of the output, S: size of all states. By rank: in the order of `plan.order`.
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
from structnet.cell.frame import first_parameter
from structnet.cell.hooks import compute_weights
from structnet.execute.features import FEATURES
from structnet.registry.suggest import did_you_mean
from structnet.topology.plan import Plan


class Masks(NamedTuple):
    """Noise of a pass, by rank.

    Arguments:
        dropout: (N, H), a factor on the predecessors' outputs in recurrent products.
        zoneout: (N, S), the share of the predecessors' mean in every unit of a new state.
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
        cell: the cell, called as `cell(z, *states)`.
        plan: the execution order; row r of `plan.rows` is null for 0, else initial state r - 1 or,
            from `plan.first_row` on, the node of rank r - first_row.
        x: the input by rank, (N, I).
        initial: the initial states (M, size), one tensor per state of the cell; zeros where None.
        edges: what edge features add to gates, (R, edge_columns); None without edge features.
        masks: dropout and zoneout.
        save: what is stored for backward: gates, recompute or windows.
        truncate: the number of levels that gradients flow back through; all where None.
        with_states: whether the states of every node are wanted, not only the output.
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

    @cached_property
    def dtype(self) -> torch.dtype:
        """The dtype of the states; under autocast that of z is lower."""
        return first_parameter(self.cell, self.x).dtype

    def with_output(self, states: States) -> tuple[Tensor, States]:
        """The result of a pass, given the states of every node by rank."""
        compute_weights(self.cell)
        return self.cell.output(self.z, *states), states

    def window(self, plan: Plan, nodes: slice, initial: States | None, **others: object) -> "Pass":
        """The pass over some of the nodes, which have a plan of their own."""
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
        needs: the features that the layer uses, by their names in `Executor.takes`.
        plan: the plan; None while a layer is made.
        x: the input by rank; None while a layer is made.
    """

    cell: Cell
    needs: frozenset[str]
    plan: Plan | None = None
    x: Tensor | None = None


class Executor(abc.ABC):
    """Runs a cell over a plan. A subclass is registered by `@sn.executors.register(name)`.

    A layer that uses a feature that is not in `takes` is rejected: states (`p.with_states`), finals
    (`final_states`, which whatever takes states has as well), edges
    (`p.edges`), dropout and zoneout (`p.masks`), weight_drop (weights that are not parameters but
    computed), truncate and windows (`run` is called for a few levels at a time), recompute
    (`p.save`), transforms (torch.func and forward-mode derivatives).
    """

    name: str = ""
    takes: ClassVar[frozenset[str]] = frozenset()
    # Whether it computes with the weights of `sn.Cell` in place of calling the cell.
    reads_weights: ClassVar[bool] = False
    # Whether a run that was begun with it continues with `auto` where there is no GPU.
    needs_gpu: ClassVar[bool] = False

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        if "states" in cls.takes:
            cls.takes = cls.takes | {"finals"}
        if unknown := sorted(set(cls.takes) - set(FEATURES)):
            known = ", ".join(FEATURES)
            raise ValueError(f"{cls.__name__}.takes has unknown {unknown}; take some of {known}")

    def refuses(self, spec: Spec) -> str | None:
        """The reason why it can't run a layer's cell, plan or input; None where it can."""
        return None

    def is_slow(self, spec: Spec) -> bool:
        """Whether `auto` should prefer the next executor, though this one can run."""
        return False

    @abc.abstractmethod
    def run(self, p: Pass) -> tuple[Tensor, States]:
        """The output (N, H) and the states of every node, (N, size) each, by rank.

        States may be left out (an empty tuple) where `p.with_states` is false.
        """

    def final_states(self, p: Pass) -> tuple[Tensor, States] | None:
        """The output (N, H) by rank, and the states at the plan's sinks, (sinks, size) each.

        None where they are taken from the states of every node, as by default.
        """
        return None

    def result(self, p: Pass) -> tuple[Tensor, States]:
        """What `run` returns; ValueError for tensors of other shapes than the cell's."""
        found = self.run(p)
        if not isinstance(found, tuple) or len(found) != 2:
            raise ValueError(
                f"executor {self.name!r} returned a {type(found).__name__}, expected the output "
                "and a tuple of states; correct its `run`"
            )
        output, states = found
        nodes, size, sizes = p.plan.num_nodes, p.cell.output_size, p.cell.state_sizes
        found = tuple(output.shape), [tuple(state.shape) for state in states]
        wanted = (nodes, size), [(nodes, size) for size in sizes]
        if found != wanted and (p.with_states or found != (wanted[0], [])):
            raise ValueError(
                f"executor {self.name!r} returned the output and states in shapes {found}, "
                f"expected {wanted} for {nodes} nodes; correct its `run`, or take another executor"
            )
        return output, states


class Auto(Executor):
    """The first of torch, scan, batched, reference and compiled that takes what a layer needs.

    Where that is batched, the layer becomes compiled on a CPU after its first 50,000 levels, if its
    cell is the library's or all that its code does is known; in runs, training says when.
    """

    takes = frozenset(FEATURES)

    def refuses(self, spec: Spec) -> str | None:
        if any(reason(find(name), spec) is None for name in ORDER):
            return None
        return reason(find("compiled" if "recompute" in spec.needs else "reference"), spec)

    def run(self, p: Pass) -> tuple[Tensor, States]:
        raise AssertionError("`choose` returns the executor that it stands for")


# `auto` is the first of these that refuses nothing. Only the last takes save='recompute'.
ORDER = ("torch", "scan", "batched", "reference", "compiled")
_made: dict[str, Executor] = {}


def find(name: str) -> Executor:
    """The executor of a name; ValueError where there is none."""
    # Plugins may register others.
    from structnet.registry import executors

    if name not in executors:
        raise ValueError(f"no executor {name!r} {did_you_mean(name, executors.names())}")
    # A class may be registered again, as in a notebook.
    if type(_made.get(name)) is not executors[name]:
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
        if spec.needs <= other.takes and other.refuses(spec) is None and not other.is_slow(spec):
            return other
    check("auto", [spec])
    raise AssertionError(f"none of {ORDER} runs {spec}")
