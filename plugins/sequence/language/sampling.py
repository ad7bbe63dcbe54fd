"""Scheduled sampling: in training, the net reads some of its own predictions.

B: samples, T: steps of each.
"""

import math
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

import structnet as sn

Schedule = Literal["none", "constant", "linear", "exponential", "sigmoid"]
# The share that is drawn where an option does not say it.
DRAWN = 0.25
# How steep the inverse sigmoid is: it begins and ends this near to its limits.
EDGE = 0.01


def drawn_share(schedule: Schedule, drawn: float | None) -> float:
    """The option `drawn`, or DRAWN for null.

    ValueError for one that is no share, and for one without a schedule, which would do nothing.
    """
    if drawn is None:
        return DRAWN
    if not 0 <= drawn <= 1:
        raise ValueError(f"option 'drawn' is from 0 to 1, got {drawn}")
    # The share itself is in the configuration of older runs.
    if schedule == "none" and drawn != DRAWN:
        raise ValueError(
            f"option 'drawn' is the share {drawn} of inputs that are drawn, and "
            "task.scheduled=none draws none: set task.scheduled=linear, or leave it out"
        )
    return drawn


def share_of(schedule: Schedule, most: float, done: float) -> float:
    """The share of inputs that are the net's own, from 0 to `most` as `done` goes from 0 to 1.

    One minus it is the epsilon of Bengio et al. (2015), section 2.4: falling linearly, as a power,
    or as an inverse sigmoid. Where it is constant, it is `most`, and one minus it is called the
    teacher forcing ratio.
    """
    done = min(max(done, 0.0), 1.0)
    if schedule == "none":
        return 0.0
    if schedule == "constant":
        return most
    if schedule == "linear":
        return most * done
    if schedule == "exponential":
        # With the limit 1, the power would have to be of 0.
        return 1 - max(1 - most, EDGE) ** done if done < 1 else most
    steep = 2 * math.log(1 / EDGE - 1)
    return most / (1 + math.exp(-steep * (done - 0.5)))


def sampled(net: Any, batch: sn.Batch, share: float, states: Any = None) -> sn.Batch:
    """A batch in which a share of the tokens after the first are drawn from the net's predictions.

    Bengio et al. (2015), section 2.3, with a draw for every token. The inputs are drawn step by
    step, each from what the net predicts after those before it, without dropout and gradients; the
    targets stay. ValueError for a net without a stepper.

    Arguments:
        net: the net that is trained.
        batch: samples of T tokens each, whose classes are the tokens.
        share: the probability with which an input is drawn.
        states: the net's state before the batch, as `net.carry` gives it; None for the start.
    """
    if not hasattr(net, "stepper"):
        raise ValueError(
            f"scheduled sampling feeds a net step by step, and {sn.nets.called(net)} has no method "
            "`stepper`: take net=stack, or task.scheduled=none"
        )
    stepper = net.stepper(batch.num_samples)
    stepper.load_state(states)
    return mixed(stepper, batch, share)


def mixed(stepper: sn.Stepper, batch: sn.Batch, share: float) -> sn.Batch:
    """The same for samples of any lengths, with a stepper at the start of each.

    Samples are dropped from the stepper where they end.
    """
    ids, sizes, rows = batch.x.ids.clone(), batch.ptr.diff(), batch.ptr[:-1]
    for step in range(1, int(sizes.max())):
        going = sizes > step
        if not going.all():
            stepper.keep(going.nonzero()[:, 0])
            sizes, rows = sizes[going], rows[going]
        at = rows + step
        output = stepper.push(ids[at - 1])
        drawn = torch.multinomial(probabilities(output), 1)[:, 0]
        own = torch.rand(len(drawn), device=drawn.device) < share
        ids[at] = torch.where(own, drawn, ids[at])
    return replace(batch, x=sn.Tokens(ids, batch.x.ptr))


def probabilities(output: Any) -> Tensor:
    """The probabilities (n, C) of scores, a tensor or `sn.Scores`."""
    if isinstance(output, Tensor):
        return output.float().softmax(1)
    return output.log_probs().float().exp()
