"""Weights that an RNN has by torch's names, and its cells by their own: the same parameters.

So what goes by the RNN's names (pruning, weight norm, initialisation) and what goes by the cells'
act on the same. Its state dict has torch's names alone.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from structnet.cell.renew import put
from structnet.cell.renew import reset as reset_module
from structnet.nn.torch_weights.form import TorchForm, read_own_form


class Place(NamedTuple):
    """A weight: its name in the RNN, the cell, where the cell stands, and where it is there."""

    name: str
    kind: str
    cell: TorchForm
    here: str
    path: str


def places(rnn: Any) -> Iterator[Place]:
    for depth, layer in enumerate(rnn.layers):
        for direction, cell in enumerate(layer.cells):
            suffix = f"l{depth}{'_reverse' * direction}"
            here = f"layers.{depth}.cells.{direction}."
            for kind, path in cell.places().items():
                yield Place(f"{kind}_{suffix}", kind, cell, here, path)


def share(rnn: Any) -> None:
    """Give an RNN the parameters of its cells, which are `TorchForm`."""
    # What both last had, by torch's name.
    rnn._shared = {}
    settle(rnn)
    rnn._register_state_dict_hook(_leave_out)
    rnn.register_load_state_dict_pre_hook(_fill_in)
    rnn.register_load_state_dict_post_hook(_name_once)


def settle(rnn: Any) -> None:
    """Make new on both sides what is new on one, and take from both what was taken from one.

    A parameter is new where a user assigns one, or one is loaded; it is taken away where it is to
    be computed from now on, as pruning and weight norm do. Where it was taken by the cell's name,
    the cell has one bias from then on, as cells have.
    """
    taken = []
    for name, kind, cell, _, path in places(rnn):
        owner, own = cell.owner(path)
        ours, theirs = rnn._parameters.get(name), owner._parameters.get(own)
        if ours is theirs:
            continue
        last = rnn._shared.get(name)
        if ours is None and theirs is last:
            del owner._parameters[own]
            rnn._shared[name] = None
        elif theirs is None and ours is last:
            del rnn._parameters[name]
            rnn._shared[name] = None
            taken.append((cell, name.removeprefix(kind)))
        else:
            new = theirs if ours is None or ours is last else ours
            rnn._parameters[name] = owner._parameters[own] = rnn._shared[name] = new
    for cell, suffix in taken:
        cell.merge_biases()
        if cell.num_biases == 1:
            rnn._parameters.pop(f"bias_hh{suffix}", None)


def given(rnn: Any) -> list[dict[str, Tensor]]:
    """For every cell, layer by layer, its weights that the RNN has and the cell has not, by kind.

    These are computed by what a user put on the RNN.
    """
    found: dict[str, dict[str, Tensor]] = {}
    for name, kind, cell, here, path in places(rnn):
        own = found.setdefault(here, {})
        if not cell.has(path) and (kind not in ("weight_ih", "bias_ih") or hasattr(rnn, name)):
            own[kind] = getattr(rnn, name)
    return list(found.values())


def reset(rnn: Any) -> None:
    """Put all weights back to what a new RNN has, given the same random state."""
    settle(rnn)
    starts = {here: cell.start() for here, cell in _cells(rnn).items()}
    for name, kind, cell, here, path in places(rnn):
        owner, own = cell.owner(path)
        if owner is cell or cell.is_affine:
            mine = rnn if hasattr(rnn, name) else owner
            put(mine, name if mine is rnn else own, starts[here][kind])
    for cell in _cells(rnn).values():
        if not cell.is_affine:
            # Something else was put in its place.
            reset_module(cell.input)
        if "candidate_bias" in cell._parameters:
            put(cell, "candidate_bias", torch.zeros(cell.hidden_size))


def _cells(rnn: Any) -> dict[str, TorchForm]:
    return {place.here: place.cell for place in places(rnn)}


def _leave_out(rnn: Any, state_dict: dict[str, Any], prefix: str, _: Any) -> None:
    """Drop a weight under the cell's name from a state dict that has it under torch's."""
    for name, _, _, here, path in places(rnn):
        if prefix + name in state_dict:
            state_dict.pop(prefix + here + path, None)


def _fill_in(rnn: Any, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    """Complete a state dict: a weight under either name gets the other, missing biases are 0."""
    settle(rnn)
    for here, cell in _cells(rnn).items():
        read_own_form(cell, state_dict, prefix + here)
        _add_biases(rnn, cell, state_dict, prefix, here)
    for name, _, _, here, path in places(rnn):
        mine, theirs = prefix + name, prefix + here + path
        for one, other in ((mine, theirs), (theirs, mine)):
            if one in state_dict and other not in state_dict:
                state_dict[other] = state_dict[one]


def _add_biases(
    rnn: Any, cell: TorchForm, state_dict: dict[str, Any], prefix: str, here: str
) -> None:
    own = [place for place in places(rnn) if place.here == here]
    names = {place.kind: prefix + place.name for place in own}
    biases = {name for kind, name in names.items() if kind.startswith("bias")}
    rest = set(names.values()) - biases
    if rest <= state_dict.keys() and not biases & state_dict.keys():
        weight = state_dict[names["weight_ih"]]
        # What does not fit is left for torch to name.
        if tuple(weight.shape) == cell.own_shapes()["input.weight"]:
            state_dict.update(dict.fromkeys(biases, weight.new_zeros(len(weight))))


def _name_once(rnn: Any, incompatible: Any) -> None:
    """Name what is missing by torch's name alone."""
    ends = tuple(here + path for _, _, _, here, path in places(rnn))
    missing = [name for name in incompatible.missing_keys if not name.endswith(ends)]
    incompatible.missing_keys[:] = missing
