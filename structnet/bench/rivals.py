"""Rivals: other implementations of a recurrence, with the same weights, inputs and gradients.

N: nodes, B: samples, T: the longest one's steps, I: input size, H: hidden size.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from structnet.bench.contender import Case, Contender
from structnet.bench.skewed import OFFSETS, ConvolvedLSTM, is_plain_lstm, skewed_loop
from structnet.cell.call import as_states, call
from structnet.cell.frame import Frame
from structnet.data.synthetic import is_chain
from structnet.nn.rnn import RNN
from structnet.topology.base import Topology

# torch's layers and cells, loops over time or over diagonals, a recursive function, our executor of
# one node at a time.
Kind = Literal["torch", "loop", "recursion", "reference"]
KINDS: tuple[Kind, ...] = get_args(Kind)
STEPPERS = {nn.LSTM: nn.LSTMCell, nn.GRU: nn.GRUCell, nn.RNN: nn.RNNCell}


def ours(case: Case, executor: str | None = None) -> Contender:
    """The layer of a case, by an executor if one is given; called as sn.RNN if `kernels` is set."""
    num_nodes = case.plans[0].num_nodes
    if case.kernels and executor is None:
        return _rnn(case)
    return Contender(
        "structnet" if executor is None else executor,
        lambda: case.layer(case.x, case.plans, executor=executor),
        case.grad,
        [case.x, *case.parameters],
        num_nodes,
    )


def _rnn(case: Case) -> Contender:
    rnn = _as_rnn(case)
    assert rnn is not None
    x, grad = _padded(case)
    lengths = None if len(set(case.structures)) == 1 else list(case.structures)
    return Contender(
        "structnet",
        lambda: rnn(x, lengths=lengths)[0],
        grad,
        [x, *rnn.parameters()],
        case.plans[0].num_nodes,
        "sn.RNN",
    )


def rivals(case: Case, kinds: Collection[Kind] = KINDS) -> Iterator[Contender]:
    """The rivals of these kinds that exist for the case's cell and topology."""
    in_steps, one_way = is_chain(case.topology, case.plans), len(case.plans) == 1
    if "torch" in kinds and in_steps and not case.has_noise:
        yield from _torch_layers(case)
    if "loop" in kinds and in_steps and one_way:
        yield from _time_loops(case)
    is_diagonal = getattr(case.topology, "offsets", None) == OFFSETS
    if "loop" in kinds and is_diagonal and not case.has_noise:
        yield from _skewed_loops(case)
    if "recursion" in kinds and case.topology.takes == "tree" and one_way and not case.has_noise:
        yield _recursion(_part(case), len(case.structures))
    if "reference" in kinds:
        part = ours(_part(case), "reference")
        yield replace(part, name="reference executor", note=_on_one(len(case.structures)))


def _recursion(part: Case, num_samples: int) -> Contender:
    """One tree at a time, by a recursive function that computes a node after its children."""
    cell: Any = part.layer.cells[0]
    before = [_predecessors(part.topology, structure) for structure in part.structures]
    starts = np.cumsum([0, *map(len, before)])
    null = [part.x.new_zeros(size) for size in cell.state_sizes]
    counts: Any = part.plans[0].counts
    if counts is not None:
        counts = counts.view(len(part.x), 1, -1)[part.plans[0].rank]

    def run(table: list[list[int]], x: Tensor, first: int) -> Tensor:
        known: dict[int, tuple[Tensor, ...]] = {}

        def states_of(node: int) -> tuple[Tensor, ...]:
            if node not in known:
                below = [null if child < 0 else states_of(child) for child in table[node]]
                read = [torch.stack(state)[None] for state in zip(*below, strict=True)]
                z = cell.project(x[node : node + 1])
                there = None if counts is None else counts[first + node].unsqueeze(2)
                new = call(cell, z, *read, around=Frame(present=there))
                known[node] = tuple(state[0] for state in new)
            return known[node]

        states = zip(*(states_of(node) for node in range(len(table))), strict=True)
        stacked = [torch.stack(state) for state in states]
        return cell.output(cell.project(x), *stacked)

    def forward() -> Tensor:
        parts = zip(before, starts, starts[1:], strict=False)
        return torch.cat([run(table, part.x[a:b], a) for table, a, b in parts])

    return Contender(
        "recursion, tree by tree",
        forward,
        part.grad,
        [part.x, *part.parameters],
        part.plans[0].num_nodes,
        _on_one(num_samples),
    )


def _predecessors(topology: Topology, structure: Any) -> list[list[int]]:
    """The predecessors of every node, -1 where absent; at least one entry per node."""
    rows = np.asarray(topology.predecessors(structure)).tolist()
    if topology.arity is not None:
        return rows
    return [[node for node in row if node >= 0] or [-1] for row in rows]


def _torch_layers(case: Case) -> Iterator[Contender]:
    """torch.nn's layer on padded and on packed sequences, if there is one for the cell."""
    rnn = _as_rnn(case)
    if rnn is None or rnn.counterpart is None:
        return
    module = rnn.to_torch()
    name = f"nn.{type(module).__name__}"
    x, grad = _padded(case)
    lengths = torch.tensor(case.structures)
    inputs = [x, *module.parameters()]
    num_nodes = case.plans[0].num_nodes
    is_other = len(case.plans) > 1 and len(set(case.structures)) > 1
    note = "the backward direction starts in the padding" if is_other else ""
    yield Contender(f"{name} padded", lambda: module(x)[0], grad, inputs, num_nodes, note)

    def packed() -> Tensor:
        given = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(module(given)[0], batch_first=True)[0]

    yield Contender(f"{name} packed", packed, grad, inputs, num_nodes)
    if len(case.plans) == 1 and not getattr(module, "proj_size", 0):
        yield _torch_loop(case, module)


def _torch_loop(case: Case, module: nn.RNNBase) -> Contender:
    """A loop over time that calls torch's cell, for all samples at once."""
    kind = STEPPERS[type(module)]
    squash = {"nonlinearity": module.nonlinearity} if isinstance(module, nn.RNN) else {}
    cell: Any = kind(module.input_size, module.hidden_size, **squash).to(case.x)
    names = {"weight_ih": "weight_ih_l0", "weight_hh": "weight_hh_l0"}
    names |= {"bias_ih": "bias_ih_l0", "bias_hh": "bias_hh_l0"}
    cell.load_state_dict({ours: getattr(module, name) for ours, name in names.items()})
    x, grad = _padded(case)

    def forward() -> Tensor:
        state, outputs = None, []
        for now in x.unbind(1):
            state = cell(now, state)
            outputs.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(outputs, dim=1)

    return Contender(
        f"loop over nn.{kind.__name__}",
        forward,
        grad,
        [x, *cell.parameters()],
        case.plans[0].num_nodes,
    )


def _time_loops(case: Case) -> Iterator[Contender]:
    """A loop over time that calls our cell, with zoneout if the case has it."""
    cell: Any = case.layer.cells[0]
    x, grad = _padded(case)
    zoneout = case.layer.noise.zoneout
    if case.layer.noise.recurrent_dropout or case.layer.noise.weight_drop:
        return

    def forward() -> Tensor:
        states = [x.new_zeros(len(x), size) for size in cell.state_sizes]
        outputs = []
        for now in x.unbind(1):
            z = cell.project(now)
            new = as_states(cell(z, *(state.unsqueeze(1) for state in states)))
            if zoneout:
                pairs = zip(new, states, strict=True)
                new = [torch.where(torch.rand_like(a) < zoneout, b, a) for a, b in pairs]
            states = list(new)
            outputs.append(cell.output(z, *states))
        return torch.stack(outputs, dim=1)

    yield Contender("loop over time", forward, grad, [x, *case.parameters], case.plans[0].num_nodes)


def _skewed_loops(case: Case) -> Iterator[Contender]:
    """Loops over the diagonals of all images: with our cell, and with an LSTM of convolutions."""
    cell: Any = case.layer.cells[0]
    nodes = case.plans[0].num_nodes
    forward = skewed_loop(cell, case.x, list(case.structures))
    yield Contender("skewed loop", forward, case.grad, [case.x, *case.parameters], nodes)
    if case.cell and is_plain_lstm(case.cell[0], cell) and len(set(case.structures)) == 1:
        module = ConvolvedLSTM(cell)
        shape = (len(case.structures), *case.structures[0], -1)
        x, grad = (value.detach().view(shape).permute(0, 3, 1, 2) for value in (case.x, case.grad))
        x = x.contiguous().requires_grad_()
        inputs = [x, *module.parameters()]
        yield Contender("skewed convolutions", lambda: module(x), grad.contiguous(), inputs, nodes)


def _padded(case: Case) -> tuple[Tensor, Tensor]:
    """The input (B, T, I) and the gradient of the output, with zeros as padding."""
    lengths = list(case.structures)
    x, grad = (
        pad_sequence(list(value.detach().split(lengths)), batch_first=True)
        for value in (case.x, case.grad)
    )
    return x.requires_grad_(), grad


def _as_rnn(case: Case) -> RNN | None:
    """An sn.RNN with the layer's weights; None if its cell is not registered."""
    if case.cell is None:
        return None
    name, options = case.cell
    layer = case.layer
    first: Any = layer.cells[0]
    size = first.hidden_size
    bidirectional = len(case.plans) > 1
    rnn = RNN(
        name, layer.input_size, size, batch_first=True, bidirectional=bidirectional, **options
    )
    weights = layer.cells.state_dict()
    rnn.to(case.x).load_state_dict({f"layers.0.cells.{n}": weight for n, weight in weights.items()})
    return rnn


def _part(case: Case) -> Case:
    """The case with the first sample only."""
    structures = case.structures[:1]
    plans = tuple(plan.to(case.device) for plan in case.topology.plan(structures))
    nodes = plans[0].num_nodes
    x = case.x.detach()[:nodes].clone().requires_grad_()
    return replace(
        case, structures=structures, plans=plans, x=x, grad=case.grad[:nodes], kernels=False
    )


def _on_one(num_samples: int) -> str:
    return f"on 1 of {num_samples} samples"
