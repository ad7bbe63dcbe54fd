"""Errors for losses and weights that are NaN or infinite."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn

from structnet.distributed.world import World


def refuse_step(
    trainer: Trainer, loss: Tensor, named: Sequence[tuple[str, nn.Parameter, Tensor]], lanes: str
) -> None:
    """FloatingPointError for a loss or a gradient that is not finite.

    Arguments:
        trainer: in the step.
        loss: of the step, a scalar.
        named: every parameter with its name and gradient.
        lanes: which lanes it comes from, where there are several.
    """
    bad = (
        name
        for name, parameter, grad in named
        if not (torch.isfinite(parameter).all() and torch.isfinite(grad).all())
    )
    raise FloatingPointError(
        f"loss {loss.item()} at step {trainer.global_step} of epoch {trainer.current_epoch}{lanes}:"
        f" the first parameter whose value or gradient is not finite is {next(bad, 'none')}; "
        f"{_last_good(trainer)}. Try a smaller trainer.learning_rate or trainer.clip_norm, and "
        "look at the data."
    )


def refuse_weights(trainer: Trainer, named: Iterable[tuple[str, nn.Parameter]]) -> None:
    """FloatingPointError for a weight that the epoch's last step has made NaN or infinite."""
    bad = [name for name, parameter in named if not torch.isfinite(parameter).all()]
    if bad:
        raise FloatingPointError(
            f"{bad[0]} is not finite after epoch {trainer.current_epoch}; {_last_good(trainer)}. "
            "Try a smaller trainer.learning_rate or trainer.weight_decay."
        )


def bad_lanes(losses: Mapping[int, float], world: World) -> str:
    """The lanes whose loss is not finite, with the process that computed them; "" for none.

    Every process calls it, with the losses of its own lanes.
    """
    bad = [lane for lane, loss in losses.items() if not math.isfinite(loss)]
    every = enumerate(world.gather(bad))
    named = [f"lane {lane} (process {rank})" for rank, lanes in every for lane in lanes]
    return f", from {', '.join(named)}" if named else ""


def _last_good(trainer: Trainer) -> str:
    keep: Any = trainer.checkpoint_callbacks[-1]
    return f"last good checkpoint: {keep.last or 'none yet'}"
