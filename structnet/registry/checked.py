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
            from structnet.registry.option_types import choices
            from structnet.registry.signature import check_value, signature_of
            from structnet.registry.suggest import did_you_mean

            known = signature_of(cls).parameters
            takes_more = any(one.kind is one.VAR_KEYWORD for one in known.values())
            for name, value in options.items():
                if name not in known and not takes_more:
                    raise TypeError(
                        f"{cls.__name__} has no argument {name!r} {did_you_mean(name, known)}"
                    )
                if name in known and choices(known[name].annotation):
                    check_value(value, known[name].annotation, name, cls.__name__)
        return super().__call__(*args, **options)

    @property
    def __signature__(cls) -> inspect.Signature:
        """The signature of `__init__`, in place of that of `__call__`."""
        from structnet.registry.signature import signature_of

        return signature_of(cls)
