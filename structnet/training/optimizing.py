"""Optimizers and schedules by name, and whether a saved state is one of them for given weights."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from structnet.training.options import OptimizerName, ScheduleName

OPTIMIZERS: dict[OptimizerName, type[torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "adagrad": torch.optim.Adagrad,
    "sgd": torch.optim.SGD,
}
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
# Entries of an optimizer's state that are never negative: squares and the step count.
NEVER_NEGATIVE = ("step", "sum", "exp_avg_sq", "max_exp_avg_sq")
# The share of the learning rate after a share of the steps.
SCHEDULES: dict[ScheduleName, Callable[[float], float]] = {
    "cosine": lambda done: 0.5 * (1 + math.cos(math.pi * min(done, 1.0))),
    "constant": lambda done: 1.0,
}


def options_of(name: str) -> dict[str, Any]:
    """The options of a group of parameters, as a new optimizer has them."""
    (group,) = OPTIMIZERS[name]([torch.zeros(1)]).param_groups
    return {option: value for option, value in group.items() if option != "params"}


def name_of(states: Any) -> str:
    """The name of the optimizer whose state was saved; ValueError if it is none of ours."""
    group = _group(states)
    # Adam and AdamW have the same options.
    decoupled = group.get("decoupled_weight_decay", False)
    for name in OPTIMIZERS:
        options = options_of(name)
        # A schedule adds the rate it begins with.
        same = set(options) == set(group) - {"params", "initial_lr"}
        if same and options.get("decoupled_weight_decay", False) == decoupled:
            return name
    raise ValueError("its optimizer_states are of no optimizer known here")


def checked_weights(weights: Any, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies of the weights; ValueError unless there is one of the same shape and kind for each."""
    if not isinstance(weights, dict):
        raise ValueError("its state_dict holds no weights")
    missing, more = sorted(set(wanted) - set(weights)), sorted(map(str, set(weights) - set(wanted)))
    if missing or more:
        what = f"no {missing[0]}" if missing else f"{more[0][:80]!r}, which the net has not"
        raise ValueError(f"its state_dict has {what}")
    return {
        name: _copied(weights[name], tensor, f"its {name}", exact=False)
        for name, tensor in wanted.items()
    }


def checked_states(states: Any, parameters: Sequence[Tensor]) -> list[dict[str, Any]]:
    """An optimizer's saved state for parameters, its options as new; ValueError if it is none.

    It would be written to, at the sizes and strides of the parameters, whatever its own are.
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
            if key in NEVER_NEGATIVE and (value < 0).any():
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
    """What an optimizer keeps for a parameter after a step, as meta tensors."""
    like = torch.zeros_like(parameter, device="meta", requires_grad=True)
    like.grad = torch.zeros_like(like)
    optimizer = OPTIMIZERS[name]([like], foreach=False)
    optimizer.step()
    return dict(optimizer.state[like])


def _copied(value: Any, like: Any, what: str, exact: bool = True) -> Tensor:
    """A tensor of memory of its own, laid out like another; ValueError unless it is one like it.

    One that is read from a file may have all its entries in one place, and be written beyond it.
    """
    plain = isinstance(value, Tensor) and isinstance(like, Tensor) and _is_plain(value)
    if not plain or value.device.type == "meta":
        raise ValueError(f"{what} is no tensor such as the net's")
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
