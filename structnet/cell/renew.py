"""Resetting a module to the initial values of a new one."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from structnet.registry.checked import Checked

T = TypeVar("T")


class _Remembering(Checked):
    """A class whose instances remember the arguments they were made with."""

    def __call__(cls: type[T], *args: Any, **options: Any) -> T:
        made: Any = super().__call__(*args, **options)
        made._made_with = cls, args, options
        return made


class Renewable(nn.Module, metaclass=_Remembering):
    """A module that is reset by copying a new one, made with the same arguments.

    So initial values are given in `__init__` alone. A subclass's own `reset_parameters` is called
    only while the module is made.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if (own := vars(cls).get("reset_parameters")) is not None:
            cls.reset_parameters = _while_it_is_made(own)

    def reset_parameters(self) -> None:
        """Initialise parameters and buffers as a new module does, given the same random state.

        Raises ValueError for one that was added later, or is computed in a way without an inverse.
        """
        _renew(self)


def _while_it_is_made(start: Callable) -> Callable:
    """`start` within `__init__`; a reset as of `Renewable` afterwards."""

    @wraps(start)
    def reset_parameters(self: Any) -> None:
        if "_made_with" in vars(self):
            _renew(self)
        else:
            start(self)

    return reset_parameters


def _renew(module: Any) -> None:
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


def orthogonal_blocks_(weight: Tensor, rows: int, columns: int) -> None:
    """Fill every block of this size with an orthogonal matrix."""
    for band in weight.split(rows):
        for block in band.split(columns, dim=1):
            nn.init.orthogonal_(block)
