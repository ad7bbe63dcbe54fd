"""Resetting modules to the initial values of new ones."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


def renew(module: Any) -> None:
    """Copy the parameters and buffers of a new module, made on the same device."""
    made, args, options = module._made_with
    device = next((one.device for one in module.parameters()), torch.get_default_device())
    if "device" in options:
        options = {**options, "device": device}
    with torch.device(device):
        fresh = made(*args, **options)
    done = _take_over(module, fresh)
    left = [name for name, one in module.named_parameters() if id(one) not in done]
    if left:
        raise ValueError(f"a new {made.__name__} has no parameters {left}; reset them yourself")


def reset(module: nn.Module) -> None:
    """Call a module's `reset_parameters`, or its children's in order where it has none.

    Raises ValueError for a module with parameters of its own and no such method.
    """
    own: Any = module
    if hasattr(module, "reset_parameters"):
        own.reset_parameters()
        return
    if names := [name for name, _ in module.named_parameters(recurse=False)]:
        raise ValueError(
            f"{type(module).__name__} has no reset_parameters for its {names}; write one, or make "
            "the module anew"
        )
    for child in module.children():
        reset(child)


@torch.no_grad()
def _take_over(module: nn.Module, fresh: nn.Module) -> set[int]:
    """Copy a new module's parameters and buffers; returns the ids of the tensors written to."""
    done: set[int] = set()
    for name, child in fresh.named_children():
        own = getattr(module, name)
        if isinstance(own, type(child)) or _shapes(own) == _shapes(child):
            done |= _take_over(own, child)
        else:
            # Something else was put in its place.
            reset(own)
            done |= {id(one) for one in own.parameters()}
    for values in (fresh._parameters, fresh._buffers):
        for name, value in values.items():
            if value is not None:
                done |= put(module, name, value)
    return done


def _shapes(module: nn.Module) -> dict[str, torch.Size]:
    return {name: one.shape for name, one in module.named_parameters()}


@torch.no_grad()
def put(module: Any, name: str, value: Tensor) -> set[int]:
    """Set a tensor, through its parametrization if any; the ids of the tensors written to."""
    if parametrize.is_parametrized(module, name):
        made_of = module.parametrizations[name]
        if not any(hasattr(step, "right_inverse") for step in made_of):
            made_of.original.copy_(value)
        else:
            made_of.right_inverse(value)
        return {id(one) for one in made_of.parameters()}
    for values, at in ((module._parameters, name), (module._buffers, name),
                       (module._parameters, f"{name}_orig")):  # fmt: skip
        # Pruning renames the parameter that it masks.
        if (own := values.get(at)) is not None:
            own.copy_(value)
            return {id(own)}
    raise ValueError(
        f"{type(module).__name__} no longer has {name!r} to reset; make the module anew, or "
        "remove what computes it (such as weight norm) first"
    )
