"""The ranges of the trainer's options, known without Lightning."""

import math
from collections.abc import Mapping
from typing import Any

from structnet.registry.signature import did_you_mean
from structnet.training.optimizing import OPTIMIZERS, SCHEDULES

KEPT = ("best", "last")
# Lightning's names for nets of other floats than the data's.
OTHER_FLOATS = ("16-true", "bf16-true", "64-true", "64", "transformer-engine",
                "transformer-engine-float16")  # fmt: skip
POSITIVE = (
    "max_epochs",
    "max_steps",
    "limit_batches",
    "batch_nodes",
    "batch_size",
    "pool",
    "learning_rate",
    "clip_norm",
    "clip_value",
    "patience",
    "save_minutes",
    "save_steps",
    "diagnose",
    "illustrate",
)


def check_ranges(options: Mapping[str, Any]) -> None:
    """ValueError for an option of the trainer that is none of its choices, or out of its range."""
    choices = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES, "keep": KEPT}
    for option, known in choices.items():
        if (value := options.get(option, next(iter(known)))) not in known:
            raise ValueError(f"no {option} {value!r} {did_you_mean(value, known)}")
    # Batches are of float32, as whoever makes them makes them.
    if (precision := str(options.get("precision", "32-true"))) in OTHER_FLOATS:
        raise ValueError(
            f"option 'precision' of trainer keeps weights in 32 bits, got {precision!r}; take "
            "32-true, 16-mixed or bf16-mixed"
        )
    for option in POSITIVE:
        value = options.get(option)
        if value is not None and not 0 < value < math.inf:
            raise ValueError(f"option {option!r} of trainer is above 0 and finite, got {value}")
    for option in ("num_workers", "weight_decay"):
        if not 0 <= options.get(option, 0) < math.inf:
            raise ValueError(
                f"option {option!r} of trainer is at least 0 and finite, got {options[option]}"
            )
