"""Cells that are linear in their state."""

import torch
from equations import equations


@equations("mingru")
def mingru(cell, x):
    """Feng et al. (2024), section 3.1.3."""
    n, u = cell.input(x).chunk(2, dim=1)
    h, outputs = x.new_zeros(cell.hidden_size), []
    for t in range(len(x)):
        z = torch.sigmoid(u[t])
        h = (1 - z) * h + z * n[t]
        outputs.append(h)
    return torch.stack(outputs)
