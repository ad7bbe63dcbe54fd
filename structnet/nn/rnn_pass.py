"""A pass of an RNN over sequences: in torch's kernels, or layer by layer in executors.

B: samples, L: steps, N: steps of all samples, D: directions.
"""

import copy
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from structnet import registry
from structnet.cell.frame import autocast_type
from structnet.data.sequences import Sequences, SizeError, read_sequences
from structnet.execute.vendor.kernel import TorchKernel, takes_derivatives
from structnet.nn.recurrence import Recurrence
from structnet.nn.stack import run_layers
from structnet.nn.torch_weights import shared
from structnet.nn.torch_weights.exchange import require_counterpart
from structnet.nn.torch_weights.form import HOOKS
from structnet.topology.plan import Plan, lasting

States = tuple[Tensor, ...]


def run(rnn: Any, input: Any, hx: Any, lengths: Any) -> tuple[Any, Tensor | States]:
    if rnn.is_torch_form:
        shared.settle(rnn)
    may = may_take_kernel(rnn)
    if may and lengths is None and is_padded_for_kernel(input):
        return _run_padded(rnn, input, hx)
    sequences = read_sequences(input, lengths, rnn.batch_first)
    _check(rnn, sequences.data)
    count = len(sequences.lengths)
    initial = None if hx is None else _read_states(rnn, hx, count, sequences.is_batched)
    takes_kernel = may and is_faster(sequences.data, sequences.are_equally_long)
    run_these = _run_kernel if takes_kernel else _run_layers
    h, states = run_these(rnn, sequences, initial)
    if not sequences.is_batched:
        states = tuple(state.squeeze(1) for state in states)
    return sequences.restore(h), states[0] if len(states) == 1 else states


def weights_of(rnn: Any) -> list[dict[str, Tensor]]:
    """Torch's weights for one pass, a dict a cell, by kind."""
    counterpart, cells = require_counterpart(rnn), [cell for _, _, cell in rnn.places()]
    if not rnn.is_torch_form:
        return [counterpart.export(dict(cell.named_parameters())) for cell in cells]
    given = shared.given(rnn)
    found = [cell.weights(own) for cell, own in zip(cells, given, strict=True)]
    return [{kind: one[kind] for kind in counterpart.kinds if kind in one} for one in found]


def may_take_kernel(rnn: Any) -> bool:
    """Whether torch's kernel computes what the cells and their layers do."""
    layer = rnn.layers[0]
    if rnn.counterpart is None or layer.executor != "auto" or not takes_derivatives():
        return False
    if layer.truncate or any(vars(layer.noise).values()):
        return False
    return all(_is_plain(rnn, cell) for _, _, cell in rnn.places()) and not any(
        vars(module)[name] for module in rnn.layers for name in ("_forward_pre_hooks", *HOOKS)
    )


def _is_plain(rnn: Any, cell: Any) -> bool:
    """Whether a cell's weights are all there is to it."""
    if rnn.is_torch_form:
        return cell.is_plain
    names = {name for name, _ in cell.named_parameters()}
    return names == require_counterpart(rnn).own_names and not any(
        vars(module)[name] for module in cell.modules() for name in ("_forward_pre_hooks", *HOOKS)
    )


def is_padded_for_kernel(input: Any) -> bool:
    """Whether it is for torch's kernel as it is."""
    if isinstance(input, PackedSequence) or input.is_nested:
        return False
    return torch.compiler.is_exporting() or is_faster(input, are_equally_long=True)


def is_faster(data: Tensor, are_equally_long: bool) -> bool:
    """Whether torch's kernel is expected to take less time than executors do.

    Training an LSTM on a CPU it takes 1.4 times theirs for ragged sequences, 0.7 times for
    equally long ones.
    """
    return data.is_cuda or are_equally_long


def _dtype(rnn: Any, other: Tensor) -> torch.dtype:
    """The type of the weights, or that of another tensor where there are none."""
    for weight in rnn._parameters.values():
        if weight is not None:
            return weight.dtype
    return next(rnn.parameters(), other).dtype


def _check(rnn: Any, data: Tensor) -> None:
    if data.shape[-1] != rnn.input_size:
        raise SizeError(
            f"the last dimension of the input is input_size = {rnn.input_size}, "
            f"got {data.shape[-1]}"
        )
    dtype = _dtype(rnn, data)
    if data.dtype != dtype and autocast_type(data.device) is None:
        raise ValueError(
            f"RNN input dtype ({data.dtype}) does not match weight dtype ({dtype}). "
            f"Convert input: input.to({dtype}), or convert model: model.to({data.dtype})"
        )


def _read_states(rnn: Any, hx: Any, samples: int, is_batched: bool) -> States:
    """Initial states (D * num_layers, B, size), of the weights' type."""
    sizes = rnn.layers[0].cells[0].state_sizes
    rows = rnn.num_layers * (1 + rnn.bidirectional)
    shapes = [(rows, *([samples] if is_batched else []), size) for size in sizes]
    states = (hx,) if isinstance(hx, Tensor) else tuple(hx)
    given = [tuple(state.shape) for state in states]
    if given != shapes:
        raise SizeError(f"initial states hx are of shapes {shapes}, got {given}")
    dtype = _dtype(rnn, states[0])
    return tuple((s if is_batched else s.unsqueeze(1)).to(dtype) for s in states)


def _zero_states(rnn: Any, like: Tensor, samples: int) -> States:
    sizes = rnn.layers[0].cells[0].state_sizes
    rows = rnn.num_layers * (1 + rnn.bidirectional)
    return tuple(like.new_zeros(rows, samples, size) for size in sizes)


def _kernel(rnn: Any) -> TorchKernel:
    return TorchKernel(
        require_counterpart(rnn), weights_of(rnn), rnn.num_layers, rnn.dropout,
        rnn.training,
    )  # fmt: skip


def _run_padded(rnn: Any, x: Tensor, hx: Any) -> tuple[Tensor, Tensor | States]:
    """What torch's kernel gives for x as it is."""
    if x.dim() not in (2, 3):
        raise ValueError(f"input is of 3 dimensions, or of 2 unbatched, got shape {tuple(x.shape)}")
    _check(rnn, x)
    is_batched = x.dim() == 3
    x = x if is_batched else x.unsqueeze(1 - rnn.batch_first)
    samples, steps = x.shape[1 - rnn.batch_first], x.shape[rnn.batch_first]
    if steps == 0:
        raise SizeError(f"a sequence has at least one step, got input of {steps} steps")
    kernel = _kernel(rnn)
    if hx is None:
        initial = _zero_states(rnn, kernel.weights[0]["weight_hh"], samples)
    else:
        initial = _read_states(rnn, hx, samples, is_batched)
    h, states = kernel.run(x, initial, rnn.batch_first)
    if not is_batched:
        h, states = h.squeeze(1 - rnn.batch_first), tuple(s.squeeze(1) for s in states)
    return h, states[0] if len(states) == 1 else states


def _run_kernel(rnn: Any, sequences: Sequences, initial: States | None) -> tuple[Tensor, States]:
    kernel, count = _kernel(rnn), len(sequences.lengths)
    initial = initial or _zero_states(rnn, kernel.weights[0]["weight_hh"], count)
    if not sequences.are_equally_long:
        return kernel.run_packed(sequences, initial)
    x = sequences.data.unflatten(0, (count, sequences.lengths[0]))
    h, states = kernel.run(x, initial, batch_first=True)
    return h.flatten(0, 1), states


def _run_layers(rnn: Any, sequences: Sequences, initial: States | None) -> tuple[Tensor, States]:
    """The output (N, D * P) and the final states, layer by layer."""
    plans, ends = _plans(rnn._topology, sequences.lengths, sequences.data.device)
    ends, layers = ends[: len(plans)], _current_layers(rnn)

    def between(depth: int, h: Tensor, out: Tensor) -> Tensor:
        return out if depth == len(layers) - 1 else F.dropout(out, rnn.dropout, rnn.training)

    h, finals = run_layers(
        layers,
        sequences.data,
        plans,
        between,
        initial=None if initial is None else _by_layer(initial, len(plans)),
        keep=lambda states: [_at_ends(state, ends) for state in states],
    )
    if rnn.is_torch_form and max(sequences.lengths, default=0) < 2:
        # No step reads a state: recurrent weights get a gradient of zero, as torch's do.
        h = h + sum(cell.recurrent[:0].sum() for layer in layers for cell in layer.cells)
    return _as_autocast_has(rnn, h, tuple(map(torch.cat, zip(*finals, strict=True))), sequences)


def _by_layer(initial: States, directions: int) -> Iterator[States]:
    """Initial states (D * num_layers, B, size) as (B, D * size), layer by layer."""
    for states in zip(*(state.split(directions) for state in initial), strict=True):
        yield tuple(state.transpose(0, 1).flatten(1) for state in states)


def _current_layers(rnn: Any) -> list[Recurrence]:
    """The layers, their cells with the weights of one pass."""
    if not rnn.is_torch_form:
        return list(rnn.layers)
    given, layers = iter(shared.given(rnn)), []
    for layer in rnn.layers:
        now = copy.copy(layer)
        cells = nn.ModuleList(cell.current(next(given)) for cell in layer.cells)
        now._modules = {**layer._modules, "cells": cells}
        layers.append(now)
    return layers


def _as_autocast_has(
    rnn: Any, h: Tensor, states: States, sequences: Sequences
) -> tuple[Tensor, States]:
    """Output and states in the types that torch's modules give under autocast."""
    low = autocast_type(h.device)
    if low is None or not rnn.is_torch_form or rnn.layers[0].executor != "auto":
        return h, states
    lowers = require_counterpart(rnn).lowers(sequences.are_equally_long)
    states = tuple(s.to(low) if lower else s for s, lower in zip(states, lowers, strict=False))
    return h.to(low) if lowers[0] else h, states


@lru_cache(maxsize=64)
def _plans(
    topology: str, lengths: tuple[int, ...], device: torch.device
) -> tuple[tuple[Plan, ...], tuple[Tensor, Tensor]]:
    """The plans of sequences, and the node that ends each, forward and backward; on the device."""
    with lasting(), torch.device("cpu"):
        plans = registry.topologies.create(topology).plan(lengths)
        sizes = torch.tensor(lengths, dtype=torch.long)
        stops = sizes.cumsum(0)
        ends = ((stops - 1).to(device), (stops - sizes).to(device))
        return tuple(plan.to(device) for plan in plans), ends


def _at_ends(state: Tensor, ends: Sequence[Tensor]) -> Tensor:
    """(N, D * size) -> (D, B, size)."""
    parts = state.chunk(len(ends), dim=1)
    return torch.stack([part[end] for part, end in zip(parts, ends, strict=True)])
