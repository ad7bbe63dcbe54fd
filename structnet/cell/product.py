"""Recurrent products, the one part of a cell that executors treat on their own.

Within a sweep of the batched executor a product's weight is a constant of the level's graph; what
its gradient needs is recorded on a tape, and after the sweep it is one product over all nodes.

x: inputs (..., I), y: outputs (..., O), weight: (I, O).
"""

from torch import Tensor

from structnet.cell.frame import frame


def product(x: Tensor, weight: Tensor) -> Tensor:
    """`x @ weight`, where x is zero for a node without predecessors.

    That holds for the states and whatever gates scale them by; level 0 skips the product. x is made
    of the predecessors' outputs, and recurrent dropout acts on it.
    """
    around, x = frame(), masked(x)
    return x @ weight if around.tape is None else around.tape.product(x, weight, around.alone)


def dense(x: Tensor, weight: Tensor) -> Tensor:
    """`x @ weight` for any x, such as a node's new state."""
    tape = frame().tape
    return x @ weight if tape is None else tape.product(x, weight, skip=False)


def masked(x: Tensor) -> Tensor:
    """x (n, ..., multiple of H) of the predecessors' outputs, under recurrent dropout."""
    mask = frame().dropout
    if mask is None:
        return x
    blocks = x.unflatten(-1, (-1, mask.shape[1]))
    return (blocks * mask.view(mask.shape[0], *[1] * (x.dim() - 1), -1)).flatten(-2)


def is_recurrent(parameter: str) -> bool:
    """Whether a parameter is a matrix that states are multiplied with: by its name, recurrent..."""
    return parameter.rpartition(".")[2].startswith("recurrent")
