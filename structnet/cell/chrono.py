"""Chrono initialisation of forget gates."""

from torch import Tensor


def chrono_(bias: Tensor, longest: int) -> None:
    """Initialise a forget gate for dependencies of up to `longest` steps: b = log(U[1, longest-1]).

    Tallec and Ollivier (2018), eq. 16. Raises ValueError for less than 2 steps.
    """
    if longest < 2:
        raise ValueError(f"option 'chrono' is at least 2 steps, got {longest}")
    bias.uniform_(1, longest - 1).log_()
