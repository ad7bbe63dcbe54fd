"""Modules that are reset by copying a new one."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from torch import Tensor, nn

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
        # Whoever follows a cell's call need not read how it is reset.
        from structnet.cell.reset import renew

        renew(self)


def _while_it_is_made(start: Callable) -> Callable:
    """`start` within `__init__`; a reset as of `Renewable` afterwards."""

    @wraps(start)
    def reset_parameters(self: Any) -> None:
        if "_made_with" in vars(self):
            Renewable.reset_parameters(self)
        else:
            start(self)

    return reset_parameters


def orthogonal_blocks_(weight: Tensor, rows: int, columns: int) -> None:
    """Fill every block of this size with an orthogonal matrix."""
    for band in weight.split(rows):
        for block in band.split(columns, dim=1):
            nn.init.orthogonal_(block)
