"""Steppers: a model of chains fed one step at a time, its state in the caller's hands.

B: rows of the batch, I: input size.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from structnet.cell.frame import first_parameter
from structnet.data.batch import Batch, Tokens
from structnet.data.mixed import Mixed
from structnet.nn.episodes import as_starts, zero_rows
from structnet.nn.head import JointHead
from structnet.nn.readout import Every, Root
from structnet.registry import heads, readouts, topologies
from structnet.topology.base import Topology
from structnet.topology.plan import Plan

# Nested tuples of tensors.
State = Any
Advance = Callable[[Any, tuple[Plan, ...], State], tuple[Any, State]]


class Stepper:
    """Chains that are fed one step at a time; every step gives what the whole sequences would give.

    Steps are those of evaluation, without dropout and without gradients. A stepper is made by
    `stepper(batch)` of a `Recurrence`, an `RNN`, a net or a run.

    Arguments:
        module: what is fed.
        topology: plans the steps.
        advance: (x, plans, state) -> what a step gives, and the new state; the state is None at the
            start.
        batch: the number of rows.
        dim: the dimension of a state's tensors that is the batch.

    >>> stepper = sn.RNN("gru", 4, 8).stepper(batch=2)
    >>> stepper.push(torch.randn(2, 4)).shape
    torch.Size([2, 8])
    """

    def __init__(
        self, module: nn.Module, topology: Topology, advance: Advance, batch: int, dim: int = 0
    ):
        """ValueError for a topology that is not a chain read forward."""
        check_chain(topology)
        if type(batch) is not int or batch < 1:
            raise ValueError(f"a stepper has a batch of at least 1 row, got {batch!r}")
        self.module, self.topology, self.advance = module, topology, advance
        self.batch, self.dim = batch, dim
        self._state: State = None
        # The batch and the device, and the plans of a step.
        self._planned: tuple[tuple[int, torch.device], tuple[Plan, ...]] | None = None

    @torch.no_grad()
    def push(self, x: Any, starts: Any = None) -> Any:
        """What the next step gives for the input x of every row.

        Arguments:
            x: features (B, I), or the ids of tokens (B,); of a net also the `Tokens` of B nodes, of
                which each may have any number, or `Mixed`.
            starts: 1 or True for the rows that start anew with this step, as in a new episode,
                else 0 (B,); all go on by default.

        ValueError for another number of rows than the batch has, and for other values of starts.
        """
        weight = first_parameter(self.module)
        x = _moved(x, None if weight is None else weight.device)
        device = x.device if weight is None else weight.device
        if (isinstance(x, Tensor) and not x.ndim) or len(x) != self.batch:
            got = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else f"those of {len(x)}"
            raise ValueError(f"a step of {self.batch} rows takes one input per row, got {got}")
        if starts is not None:
            rows = as_starts(starts, (self.batch,), device)
            self._state = _mapped(self._state, lambda one: zero_rows(one, rows, self.dim))
        was_training = self.module.training
        if was_training:
            self.module.eval()
        try:
            y, self._state = self.advance(x, self._plans(device), self._state)
        finally:
            if was_training:
                self.module.train()
            # Older versions of torch would take weights that autocast has cast here, which pass no
            # gradients, in a later pass.
            torch.clear_autocast_cache()
        return y

    def state(self) -> State:
        """The state after the last step: nested tuples of tensors; None before the first."""
        return self._state

    def load_state(self, state: State) -> None:
        """Continue from a state, whose number of rows the batch then has; from the start for None.

        ValueError for what is not a state.
        """
        sizes = {one.shape[self.dim] for one in _tensors(state)}
        if len(sizes) > 1 or (state is not None and not sizes):
            raise ValueError(f"the tensors of a state have one batch size, got {sorted(sizes)}")
        self._state = state
        self.batch = next(iter(sizes), self.batch)

    def keep(self, rows: Sequence[int] | Tensor) -> None:
        """Go on with some rows of the batch, by index; they may be repeated."""
        rows = torch.as_tensor(rows, dtype=torch.long)
        self._state = _mapped(
            self._state, lambda one: one.index_select(self.dim, rows.to(one.device))
        )
        self.batch = len(rows)

    def _plans(self, device: torch.device) -> tuple[Plan, ...]:
        wanted = self.batch, device
        if self._planned is None or self._planned[0] != wanted:
            plans = self.topology.plan([1] * self.batch)
            self._planned = wanted, tuple(plan.to(device) for plan in plans)
        return self._planned[1]

    @classmethod
    def of_recurrence(cls, layer: Any, batch: int) -> "Stepper":
        def advance(x: Tensor, plans: tuple[Plan, ...], state: State) -> tuple[Tensor, State]:
            return layer(x, plans, initial=state, return_states="final")

        return cls(layer, layer.topology, advance, batch)

    @classmethod
    def of_rnn(cls, rnn: Any, batch: int) -> "Stepper":
        def advance(x: Tensor, plans: tuple[Plan, ...], state: State) -> tuple[Tensor, State]:
            length = 1 if rnn.batch_first else 0
            y, states = rnn(x.unsqueeze(length), state)
            return y.squeeze(length), states

        return cls(rnn, rnn.layers[0].topology, advance, batch, dim=1)

    @classmethod
    def of_net(cls, net: Any, batch: int) -> "Stepper":
        """Of a net with `carry`, over tokens, features or both."""

        def advance(x: Any, plans: tuple[Plan, ...], state: State) -> tuple[Any, State]:
            ptr = torch.arange(len(x) + 1, device=plans[0].ptr.device)
            is_id = isinstance(x, Tensor) and not x.is_floating_point()
            given = Tokens(x, ptr) if is_id else x
            none = ptr.new_zeros(len(x))
            y, states = net.carry(Batch(given, plans, ptr, none, none), state)
            return y, tuple(map(tuple, states))

        check_steps(net)
        return cls(net, net.layers[0].topology, advance, batch)


def _moved(x: Any, device: Any) -> Any:
    """The input of a step as tensors, on a device if one is given."""
    if isinstance(x, Tokens | Mixed):
        return x.map(lambda one: torch.as_tensor(one, device=device))
    return torch.as_tensor(x, device=device)


def check_chain(topology: Topology) -> None:
    """ValueError, with the reason, for a topology whose samples are not chains read forward."""
    if topology.takes != "sequence":
        reason = (
            f"reads each {topology.takes} as a whole, and no state is all that what follows needs"
        )
    elif len(topology.directions) > 1:
        reason = "also reads from the end of a sequence, which has not come yet"
    elif topology.num_initial != 1 or topology.plan([3])[0].rows.tolist() != [1, 2, 3]:
        reason = "has steps that read others than the one before"
    else:
        return
    raise ValueError(
        f"{topologies.called(topology)} does not go step by step: it {reason}; train with "
        "topology=chain"
    )


def check_steps(net: Any) -> None:
    """ValueError for a net that can't go on from the states of another pass."""
    given = [name for name in ("before", "after", "embeddings") if getattr(net, name) is not None]
    given += [] if hasattr(net.stack, "carry") else ["apart"]
    if not given:
        # Of trees and graphs it is the reason, whatever the net has beside them.
        check_chain(net.layers[0].topology)
        given = [] if net.condition is None else ["condition"]
    if given:
        raise ValueError(
            f"net.{given[0]} is for whole samples, and this net goes step by step: leave it out"
        )
    if isinstance(net.head, JointHead):
        raise ValueError(
            f"{heads.called(net.head)} scores the steps of a sample together; a net that "
            "goes step by step has head=softmax"
        )
    if not isinstance(net.readout, Every | Root):
        raise ValueError(
            f"{readouts.called(net.readout)} reads whole samples; a net that goes step by "
            "step has readout=every or last"
        )


def _tensors(state: State) -> list[Tensor]:
    if isinstance(state, Tensor):
        return [state]
    if state is None:
        return []
    if not isinstance(state, tuple | list):
        raise ValueError(f"a state is nested tuples of tensors, got a {type(state).__name__}")
    return [one for part in state for one in _tensors(part)]


def _mapped(state: State, move: Callable[[Tensor], Tensor]) -> State:
    if state is None or isinstance(state, Tensor):
        return None if state is None else move(state)
    return tuple(_mapped(part, move) for part in state)
