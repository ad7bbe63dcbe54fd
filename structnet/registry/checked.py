"""Classes whose options are checked against their choices."""

import abc
import inspect
from typing import Any, TypeVar

T = TypeVar("T")


class Checked(abc.ABCMeta):
    """The metaclass of components: creating one raises ValueError for a value not in a `Literal`.

    So a component states its choices once, as `Literal["mean", "max"]` in its signature, however
    it is created. Other types are checked by the registry only. TypeError for an unknown argument.
    """

    def __call__(cls: type[T], *args: Any, **options: Any) -> T:
        if options:
            # Whoever follows a cell's call need not read how options are checked.
            from structnet.registry.signature import check_keywords

            check_keywords(cls, options)
        return super().__call__(*args, **options)

    @property
    def __signature__(cls) -> inspect.Signature:
        """The signature of `__init__`, in place of that of `__call__`."""
        from structnet.registry.signature import signature_of

        return signature_of(cls)
