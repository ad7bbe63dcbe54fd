"""What a user adds to the trainer in Python."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger


@dataclass(frozen=True)
class Others:
    """What a user adds to the trainer: callbacks and loggers of Lightning, beside ours."""

    callbacks: Sequence[Callback] = ()
    loggers: Sequence[Logger] = ()

    @classmethod
    def of(cls, callbacks: Sequence[Callback], logger: Any) -> "Others":
        """Callbacks, and a logger or several; ValueError for anything else."""
        given = [] if logger is None else [logger] if isinstance(logger, Logger) else list(logger)
        for one, kind in [
            *((one, Callback) for one in callbacks),
            *((one, Logger) for one in given),
        ]:
            if not isinstance(one, kind):
                raise ValueError(
                    f"a {kind.__name__.lower()} is one of lightning.pytorch, got "
                    f"{type(one).__module__}.{type(one).__name__}"
                )
        return cls(tuple(callbacks), tuple(given))


NOTHING = Others()
