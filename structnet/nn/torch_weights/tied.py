"""Weights tied between an RNN, under torch's names, and its cells, under their own.

Both hold the same parameters, so that pruning, weight norm and initialisation may go by either
name. The state dict of the RNN has torch's names only.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from structnet.cell.reset import put
from structnet.cell.reset import reset as reset_module
from structnet.nn.torch_weights.form import TorchForm, read_own_form


class TiedWeight(NamedTuple):
    """One weight under both names.

    Arguments:
        name: its name in the RNN, such as weight_ih_l0.
        kind: what torch calls it in every layer, such as weight_ih.
        cell: the cell that has it.
        prefix: the cell's path in the RNN, with a dot behind it.
        path: its path in the cell.
    """

    name: str
    kind: str
    cell: TorchForm
    prefix: str
    path: str


def tied_weights(rnn: Any) -> Iterator[TiedWeight]:
    for prefix, suffix, cell in rnn.named_cells():
        for kind, path in cell.paths().items():
            yield TiedWeight(f"{kind}_{suffix}", kind, cell, prefix, path)


def tie(rnn: Any) -> None:
    """Register the parameters of an RNN's cells, which are `TorchForm`, under torch's names."""
    # What both sides had after the last synchronisation, by torch's name.
    rnn._tied = {}
    synchronise(rnn)
    rnn._register_state_dict_hook(_leave_out)
    rnn.register_load_state_dict_pre_hook(_fill_in)
    rnn.register_load_state_dict_post_hook(_name_once)


def synchronise(rnn: Any) -> None:
    """Take over on both sides the parameters that were assigned to, or removed from, one of them.

    A parameter is removed when it is computed from then on, as pruning and weight norm do. Where it
    was removed under the cell's name, the cell has one bias from then on, as cells have.
    """
    removed = []
    for name, kind, cell, _, path in tied_weights(rnn):
        owner, own = cell.owner(path)
        ours, theirs = rnn._parameters.get(name), owner._parameters.get(own)
        if ours is theirs:
            continue
        last = rnn._tied.get(name)
        if ours is None and theirs is last:
            del owner._parameters[own]
            rnn._tied[name] = None
        elif theirs is None and ours is last:
            del rnn._parameters[name]
            rnn._tied[name] = None
            removed.append((cell, name.removeprefix(kind)))
        else:
            new = theirs if ours is None or ours is last else ours
            rnn._parameters[name] = owner._parameters[own] = rnn._tied[name] = new
    for cell, suffix in removed:
        cell.merge_biases()
        if cell.num_biases == 1:
            rnn._parameters.pop(f"bias_hh{suffix}", None)


def computed_weights(rnn: Any) -> list[dict[str, Tensor]]:
    """For every cell, layer by layer, the weights by kind that the RNN has and the cell has not.

    They are computed by what a user put on the RNN, such as pruning.
    """
    found: dict[str, dict[str, Tensor]] = {}
    for name, kind, cell, prefix, path in tied_weights(rnn):
        computed = found.setdefault(prefix, {})
        if not cell.has(path) and (kind not in ("weight_ih", "bias_ih") or hasattr(rnn, name)):
            computed[kind] = getattr(rnn, name)
    return list(found.values())


def reset(rnn: Any) -> None:
    """Reset all weights to those of a new RNN, given the same random state."""
    synchronise(rnn)
    starts = {prefix: cell.start() for prefix, _, cell in rnn.named_cells()}
    for name, kind, cell, prefix, path in tied_weights(rnn):
        owner, own = cell.owner(path)
        if owner is cell or cell.has_linear_input:
            is_ours = hasattr(rnn, name)
            put(rnn if is_ours else owner, name if is_ours else own, starts[prefix][kind])
    for _, _, cell in rnn.named_cells():
        if not cell.has_linear_input:
            # The user's own input layer.
            reset_module(cell.input)
        if "candidate_bias" in cell._parameters:
            put(cell, "candidate_bias", torch.zeros(cell.hidden_size))


def _leave_out(rnn: Any, state_dict: dict[str, Any], prefix: str, _: Any) -> None:
    """Leave out of a state dict the cell's name of a weight that is there under torch's."""
    for weight in tied_weights(rnn):
        if prefix + weight.name in state_dict:
            state_dict.pop(prefix + weight.prefix + weight.path, None)


def _fill_in(rnn: Any, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    """Complete a state dict: a weight under one name gets the other; missing biases are 0."""
    synchronise(rnn)
    for of_cell, _suffix, cell in rnn.named_cells():
        read_own_form(cell, state_dict, prefix + of_cell)
        _add_biases(rnn, cell, state_dict, prefix)
    for weight in tied_weights(rnn):
        both = (prefix + weight.name, prefix + weight.prefix + weight.path)
        for one, other in (both, both[::-1]):
            if one in state_dict and other not in state_dict:
                state_dict[other] = state_dict[one]


def _add_biases(rnn: Any, cell: TorchForm, state_dict: dict[str, Any], prefix: str) -> None:
    names = {one.kind: prefix + one.name for one in tied_weights(rnn) if one.cell is cell}
    biases = {name for kind, name in names.items() if kind.startswith("bias")}
    others = set(names.values()) - biases
    if others <= state_dict.keys() and not biases & state_dict.keys():
        weight = state_dict[names["weight_ih"]]
        # torch reports weights that don't fit.
        if tuple(weight.shape) == cell.own_shapes()["input.weight"]:
            state_dict.update(dict.fromkeys(biases, weight.new_zeros(len(weight))))


def _name_once(rnn: Any, incompatible: Any) -> None:
    """Report what is missing under torch's name only."""
    ends = tuple(weight.prefix + weight.path for weight in tied_weights(rnn))
    missing = [name for name in incompatible.missing_keys if not name.endswith(ends)]
    incompatible.missing_keys[:] = missing
