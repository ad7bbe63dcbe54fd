"""Classes that check the choices among their options, also where no registry makes them."""

import abc
import inspect
from typing import Any, TypeVar

from structnet.registry.option_types import choices
from structnet.registry.signature import check_value, signature_of

T = TypeVar("T")


class Checked(abc.ABCMeta):
    """The metaclass of components: ValueError for a value that an option's `Literal` does not have.

    So `Literal["mean", "max"]` in a signature is all that a component says of its choices. Other
    types are checked by the registry.
    """

    def __call__(cls: type[T], *args: Any, **options: Any) -> T:
        if options:
            for name, parameter in signature_of(cls).parameters.items():
                if name in options and choices(parameter.annotation):
                    check_value(options[name], parameter.annotation, name, cls.__name__)
        return super().__call__(*args, **options)

    @property
    def __signature__(cls) -> inspect.Signature:
        """What an instance is made with; without it, the arguments of `__call__` would be shown."""
        return signature_of(cls)
