"""A pass of an RNN over sequences: in torch's kernels, or layer by layer in executors.

B: samples, L: steps, N: steps of all samples, D: directions, P: output size.
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
from structnet.cell.frame import autocast_type, first_parameter
from structnet.cell.hooks import KINDS
from structnet.data.sequences import Sequences, SizeError, read_sequences
from structnet.execute.torch_layer.kernel import TorchKernel, takes_derivatives
from structnet.nn.episodes import read_episodes, read_starts, zero_rows
from structnet.nn.one_step import is_one_step, run_one_step
from structnet.nn.recurrence import Recurrence
from structnet.nn.stack import run_layers
from structnet.nn.torch_weights import tied
from structnet.nn.torch_weights.exchange import require_counterpart
from structnet.topology.plan import Plan, lasting

States = tuple[Tensor, ...]


def run(rnn: Any, input: Any, hx: Any, lengths: Any, starts: Any) -> tuple[Any, Tensor | States]:
    """What a call of an RNN returns."""
    if rnn.is_torch_form:
        tied.synchronise(rnn)
    may_take = may_take_kernel(rnn)
    if rnn.layers[0].executor == "torch" and not may_take:
        raise ValueError(
            "executor 'torch' runs cells that torch has, with a linear input layer and without "
            "hooks, outside of vmap and forward-mode derivatives; take executor='auto'"
        )
    starts = None if starts is None else read_starts(rnn, input, starts)
    if may_take and lengths is None and starts is None and is_padded_for_kernel(input):
        return _run_padded(rnn, input, hx)
    if lengths is None and is_one_step(rnn, input):
        return _run_step(rnn, input, hx, starts)
    sequences = read_sequences(input, lengths, rnn.batch_first)
    _check(rnn, sequences.data)
    count = len(sequences.lengths)
    initial = None if hx is None else _read_states(rnn, hx, count, sequences.is_batched)
    episodes = None
    if starts is not None:
        episodes = read_episodes(sequences, starts, lengths, rnn.batch_first)
        sequences, initial = episodes.cut(sequences), episodes.initial(initial)
    takes_kernel = may_take and (
        rnn.layers[0].executor == "torch" or is_faster(sequences.data, sequences.are_equally_long)
    )
    run_sequences = _run_kernel if takes_kernel else _run_layers
    h, states = run_sequences(rnn, sequences, initial)
    states = states if episodes is None else episodes.final(states)
    return sequences.restore(h), _write_states(states, sequences.is_batched)


def weights_of(rnn: Any) -> list[dict[str, Tensor]]:
    """Torch's weights for one pass: one dict per cell, by kind."""
    counterpart, cells = require_counterpart(rnn), [cell for _, _, cell in rnn.named_cells()]
    if not rnn.is_torch_form:
        return [counterpart.export(dict(cell.named_parameters())) for cell in cells]
    computed = tied.computed_weights(rnn)
    found = [cell.weights(others) for cell, others in zip(cells, computed, strict=True)]
    return [{kind: one[kind] for kind in counterpart.kinds if kind in one} for one in found]


def may_take_kernel(rnn: Any) -> bool:
    """Whether torch's kernel computes what the cells and their layers do."""
    layer = rnn.layers[0]
    if rnn.counterpart is None or layer.executor not in ("auto", "torch"):
        return False
    if not takes_derivatives():
        return False
    if layer.truncate or any(vars(layer.noise).values()):
        return False
    return all(_is_plain(rnn, cell) for _, _, cell in rnn.named_cells()) and not any(
        vars(layer)[name] for layer in rnn.layers for name in KINDS
    )


def _is_plain(rnn: Any, cell: Any) -> bool:
    """Whether a cell has no hooks, and no weights that are computed from others."""
    if rnn.is_torch_form:
        return cell.is_plain
    names = {name for name, _ in cell.named_parameters()}
    return names == require_counterpart(rnn).own_names and not any(
        vars(module)[name] for module in cell.modules() for name in KINDS
    )


def is_padded_for_kernel(input: Any) -> bool:
    """Whether an input is padded, and torch's kernel takes it as it is."""
    if isinstance(input, PackedSequence) or input.is_nested:
        return False
    return torch.compiler.is_exporting() or is_faster(input, are_equally_long=True)


def is_faster(data: Tensor, are_equally_long: bool) -> bool:
    """Whether torch's kernel is expected to be faster than the executors.

    Training an LSTM on a CPU it takes 0.7 times their time for sequences of one length, and 1.4
    times for packed ones.
    """
    return data.is_cuda or are_equally_long


def _check(rnn: Any, data: Tensor) -> None:
    if data.shape[-1] != rnn.input_size:
        raise SizeError(
            f"the last dimension of the input is input_size = {rnn.input_size}, "
            f"got {data.shape[-1]}"
        )
    dtype = first_parameter(rnn, data).dtype
    if data.dtype != dtype and autocast_type(data.device) is None:
        raise ValueError(
            f"RNN input dtype ({data.dtype}) does not match weight dtype ({dtype}). "
            f"Convert input: input.to({dtype}), or convert model: model.to({data.dtype})"
        )


def _state_shapes(rnn: Any, *samples: int) -> list[tuple[int, ...]]:
    """The shapes of the states of all layers, (D * num_layers, *samples, size)."""
    rows = rnn.num_layers * (1 + rnn.bidirectional)
    return [(rows, *samples, size) for size in rnn.layers[0].cells[0].state_sizes]


def _read_states(rnn: Any, hx: Any, samples: int, is_batched: bool) -> States:
    """Initial states (D * num_layers, B, size), in the dtype of the weights."""
    shapes = _state_shapes(rnn, *([samples] if is_batched else []))
    states = (hx,) if isinstance(hx, Tensor) else tuple(hx)
    given = [tuple(state.shape) for state in states]
    if given != shapes:
        raise SizeError(f"initial states hx are of shapes {shapes}, got {given}")
    dtype = first_parameter(rnn, states[0]).dtype
    return tuple((s if is_batched else s.unsqueeze(1)).to(dtype) for s in states)


def _write_states(states: States, is_batched: bool) -> Tensor | States:
    """Final states in the form of torch's modules."""
    if not is_batched:
        states = tuple(state.squeeze(1) for state in states)
    return states[0] if len(states) == 1 else states


def _zero_states(rnn: Any, like: Tensor, samples: int) -> States:
    return tuple(like.new_zeros(shape) for shape in _state_shapes(rnn, samples))


def _kernel(rnn: Any) -> TorchKernel:
    return TorchKernel(
        require_counterpart(rnn), weights_of(rnn), rnn.num_layers, rnn.dropout, rnn.training
    )


def _run_padded(rnn: Any, x: Tensor, hx: Any) -> tuple[Tensor, Tensor | States]:
    """The output and the final states of a padded batch, in torch's kernel."""
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
    h = h if is_batched else h.squeeze(1 - rnn.batch_first)
    return h, _write_states(states, is_batched)


def _run_step(
    rnn: Any, input: Tensor, hx: Any, starts: Tensor | None
) -> tuple[Tensor, Tensor | States]:
    """The output and the final states of sequences of one step, in one call of each cell."""
    dim = 1 if rnn.batch_first else 0
    x = input.select(dim, 0)
    _check(rnn, x)
    initial = None if hx is None else _read_states(rnn, hx, len(x), is_batched=True)
    if initial is not None and starts is not None:
        initial = tuple(zero_rows(state, starts.select(dim, 0), dim=1) for state in initial)
    h, states = run_one_step(rnn, x, initial)
    return h.unsqueeze(dim), _write_states(states, is_batched=True)


def _run_kernel(rnn: Any, sequences: Sequences, initial: States | None) -> tuple[Tensor, States]:
    """The output (N, D * P) and the final states, in torch's kernel."""
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
    has_one_step = max(sequences.lengths, default=0) < 2
    if rnn.is_torch_form and has_one_step and torch.is_grad_enabled():
        # No step reads a state: recurrent weights get a gradient of zero, as torch's do.
        h = h + sum(cell.recurrent[:0].sum() for layer in layers for cell in layer.cells)
    return _in_autocast_dtype(rnn, h, tuple(map(torch.cat, zip(*finals, strict=True))), sequences)


def _by_layer(initial: States, directions: int) -> Iterator[States]:
    """Initial states (D * num_layers, B, size) as (B, D * size), layer by layer."""
    for states in zip(*(state.split(directions) for state in initial), strict=True):
        yield tuple(state.transpose(0, 1).flatten(1) for state in states)


def _current_layers(rnn: Any) -> list[Recurrence]:
    """The layers, their cells with the weights of one pass."""
    if not rnn.is_torch_form:
        return list(rnn.layers)
    computed, layers = iter(tied.computed_weights(rnn)), []
    for layer in rnn.layers:
        current = copy.copy(layer)
        cells = nn.ModuleList(cell.current(next(computed)) for cell in layer.cells)
        current._modules = {**layer._modules, "cells": cells}
        # Not as a module of its own.
        vars(current)["original"] = layer
        layers.append(current)
    return layers


def _in_autocast_dtype(
    rnn: Any, h: Tensor, states: States, sequences: Sequences
) -> tuple[Tensor, States]:
    """Output and states in the dtypes that torch's modules return under autocast."""
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
    """The plans of sequences, and the indices (B,) of their last and first steps, on the device."""
    with lasting(), torch.device("cpu"):
        plans = registry.topologies.create(topology).plan(lengths)
        sizes = torch.tensor(lengths, dtype=torch.long)
        stops = sizes.cumsum(0)
        ends = ((stops - 1).to(device), (stops - sizes).to(device))
        return tuple(plan.to(device) for plan in plans), ends


def _at_ends(state: Tensor, ends: Sequence[Tensor]) -> Tensor:
    """The final states (D, B, size), of the states (N, D * size) of all steps."""
    if len(ends) == 1:
        return state.index_select(0, ends[0])[None]
    parts = state.chunk(len(ends), dim=1)
    return torch.stack([part[end] for part, end in zip(parts, ends, strict=True)])
