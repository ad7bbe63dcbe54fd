"""Products with recurrent weights, whose gradients executors compute themselves.

In the batched executor the weight is a constant in the autograd graph of a level; x and y are
recorded on a tape, and the weight's gradient is one product over all nodes after the backward pass.

x: inputs (..., I), y: outputs (..., O), weight: (I, O).
"""

from torch import Tensor

from structnet.cell.frame import frame


def product(x: Tensor, weight: Tensor) -> Tensor:
    """`x @ weight` for x that is zero without predecessors, such as h or r * h; level 0 skips it.

    Recurrent dropout is applied to x, which has to be made of the predecessors' outputs.
    """
    around, x = frame(), masked(x)
    return x @ weight if around.tape is None else around.tape.product(x, weight, around.alone)


def dense(x: Tensor, weight: Tensor) -> Tensor:
    """`x @ weight` for any x, such as a node's new state."""
    tape = frame().tape
    return x @ weight if tape is None else tape.product(x, weight, skip=False)


def masked(x: Tensor) -> Tensor:
    """x (n, ..., multiple of H), made of the predecessors' outputs, under recurrent dropout."""
    mask = frame().dropout
    if mask is None:
        return x
    blocks = x.unflatten(-1, (-1, mask.shape[1]))
    return (blocks * mask.view(mask.shape[0], *[1] * (x.dim() - 1), -1)).flatten(-2)


def is_recurrent(parameter: str) -> bool:
    """Whether a parameter is a recurrent weight: whether its name begins with `recurrent`."""
    return parameter.rpartition(".")[2].startswith("recurrent")
