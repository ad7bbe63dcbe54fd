"""Gated cells."""

import torch
from equations import equations


@equations("elman", nonlinearity="tanh")
@equations("elman", nonlinearity="relu")
def elman(cell, x):
    """Elman (1990)."""
    g = torch.tanh if cell.nonlinearity == "tanh" else torch.relu
    h, outputs = x.new_zeros(cell.hidden_size), []
    for x_t in x:
        h = g(cell.input(x_t) + h @ cell.recurrent)
        outputs.append(h)
    return torch.stack(outputs)


@equations("gru")
def gru(cell, x):
    """Cho et al. (2014), eq. 5-8, the reset gate after the product."""
    size = cell.hidden_size
    h, outputs = x.new_zeros(size), []
    for x_t in x:
        r_x, u_x, n_x = cell.input(x_t).split(size)
        r_h, u_h, n_h = (h @ cell.recurrent).split(size)
        r, u = torch.sigmoid(r_x + r_h), torch.sigmoid(u_x + u_h)
        n = torch.tanh(n_x + r * (n_h + cell.candidate_bias))
        h = (1 - u) * n + u * h
        outputs.append(h)
    return torch.stack(outputs)


@equations("lstm", forget_bias=0.5)
def lstm(cell, x):
    """Gers et al. (2000)."""
    size = cell.hidden_size
    h, c, outputs = x.new_zeros(size), x.new_zeros(size), []
    for x_t in x:
        i, o, u, f = (cell.input(x_t) + h @ cell.recurrent).split(size)
        c = torch.sigmoid(i) * torch.tanh(u) + torch.sigmoid(f) * c
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs)
