"""Optimizers and learning-rate schedules by name, and checks of an optimizer's saved state."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "adagrad": torch.optim.Adagrad,
    "sgd": torch.optim.SGD,
}
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
# Entries of an optimizer's state that are never negative: sums of squares and the step count.
NEVER_NEGATIVE = ("step", "sum", "exp_avg_sq", "max_exp_avg_sq")
# The factor of the learning rate, from 0 to 1, after a fraction of the steps.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "cosine": lambda done: 0.5 * (1 + math.cos(math.pi * min(done, 1.0))),
    "constant": lambda done: 1.0,
}


def options_of(name: str) -> dict[str, Any]:
    """The options of a parameter group of a new optimizer."""
    (group,) = OPTIMIZERS[name]([torch.zeros(1)]).param_groups
    return {option: value for option, value in group.items() if option != "params"}


def name_of(states: Any) -> str:
    """The name of the optimizer whose state was saved; ValueError if it has none here."""
    group = _group(states)
    # Adam and AdamW have the same options.
    decoupled = group.get("decoupled_weight_decay", False)
    for name in OPTIMIZERS:
        options = options_of(name)
        # A schedule adds the initial learning rate.
        same = set(options) == set(group) - {"params", "initial_lr"}
        if same and options.get("decoupled_weight_decay", False) == decoupled:
            return name
    raise ValueError("its optimizer_states are not those of a known optimizer")


def checked_weights(weights: Any, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies of the weights; ValueError unless their names, shapes and dtypes are those wanted."""
    if not isinstance(weights, dict):
        raise ValueError("its state_dict holds no weights")
    missing, more = sorted(set(wanted) - set(weights)), sorted(map(str, set(weights) - set(wanted)))
    if missing or more:
        what = f"no {missing[0]}" if missing else f"{more[0][:80]!r}, which the net does not have"
        raise ValueError(f"its state_dict has {what}")
    return {
        name: _copied(weights[name], tensor, f"its {name}", exact=False)
        for name, tensor in wanted.items()
    }


def checked_states(states: Any, parameters: Sequence[Tensor]) -> list[dict[str, Any]]:
    """A checked copy of an optimizer's saved state, with the options of a new optimizer.

    Raises ValueError for a state that does not fit the parameters: the optimizer would write to it
    by the parameters' shapes and strides, beyond its end if it is smaller.
    """
    name, group = name_of(states), _group(states)
    if group["params"] != list(range(len(parameters))):
        raise ValueError(f"its optimizer_states are not of {len(parameters)} parameters")
    state = states[0].get("state")
    if not isinstance(state, dict):
        raise ValueError("its optimizer_states have no state")
    wanted = [_state_like(name, parameter) for parameter in parameters]
    if any(wanted) and not state:
        raise ValueError("its optimizer_states are empty")
    checked: dict[int, dict[str, Any]] = {}
    for index, saved in state.items():
        if type(index) is not int or not 0 <= index < len(parameters):
            raise ValueError(f"its optimizer_states have a parameter {str(index)[:80]}")
        if not isinstance(saved, dict) or set(saved) != set(wanted[index]):
            raise ValueError(f"its optimizer_states of parameter {index} are not {name}'s")
        checked[index] = {}
        for key, value in saved.items():
            like, what = wanted[index][key], f"{key} of parameter {index} in its optimizer_states"
            both = like is not None or value is not None
            checked[index][key] = _copied(value, like, what) if both else None
            if key in NEVER_NEGATIVE and value is not None and (value < 0).any():
                raise ValueError(f"{what} has values below 0")
    return [{"state": checked, "param_groups": [{**options_of(name), "params": group["params"]}]}]


def _group(states: Any) -> Mapping[str, Any]:
    try:
        ((group,),) = ([*one["param_groups"]] for one in states)
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError("its optimizer_states are not of one optimizer") from error
    if not isinstance(group, dict) or "params" not in group:
        raise ValueError("its optimizer_states have no parameters")
    return group


def _state_like(name: str, parameter: Tensor) -> dict[str, Any]:
    """The state of an optimizer for one parameter after a step, as meta tensors."""
    like = torch.zeros_like(parameter, device="meta", requires_grad=True)
    like.grad = torch.zeros_like(like)
    optimizer = OPTIMIZERS[name]([like], foreach=False)
    optimizer.step()
    return dict(optimizer.state[like])


def _copied(value: Any, like: Any, what: str, exact: bool = True) -> Tensor:
    """A copy of a tensor, contiguous like `like`; ValueError if shape or dtype are others.

    A tensor in a file may have strides of 0, so that all entries share one place in memory.

    Arguments:
        value: the tensor from the file.
        like: a tensor with the shape and dtype wanted.
        what: the tensor's name in errors.
        exact: whether the dtype has to be the same, not just floating-point as well.
    """
    plain = isinstance(value, Tensor) and isinstance(like, Tensor) and _is_plain(value)
    if not plain or value.device.type == "meta":
        raise ValueError(f"{what} is not a plain tensor")
    same = value.dtype == like.dtype if exact else (value.dtype in FLOATS) == (like.dtype in FLOATS)
    if value.shape != like.shape or not same:
        found, wanted = (f"{t.dtype} of shape {tuple(t.shape)}" for t in (value, like))
        raise ValueError(f"{what} is {found}, the net needs {wanted}")
    copied = torch.empty_like(like, dtype=value.dtype, device="cpu").copy_(value.detach())
    if not torch.isfinite(copied).all():
        raise ValueError(f"{what} has values that are not finite")
    return copied


def _is_plain(value: Tensor) -> bool:
    return value.layout == torch.strided and not value.is_nested and not value.is_quantized
