"""Where weights and biases start."""

from torch import Tensor, nn


def orthogonal_blocks_(weight: Tensor, rows: int, columns: int) -> None:
    """Fill every block of so many rows and columns with an orthogonal matrix."""
    for band in weight.split(rows):
        for block in band.split(columns, dim=1):
            nn.init.orthogonal_(block)


def chrono_(bias: Tensor, longest: int) -> None:
    """Start a forget gate for dependencies of up to so many steps: b = log(U[1, longest - 1]).

    Tallec and Ollivier (2018), eq. 16. ValueError for less than 2 steps.
    """
    if longest < 2:
        raise ValueError(f"option 'chrono' is at least 2 steps, got {longest}")
    bias.uniform_(1, longest - 1).log_()
