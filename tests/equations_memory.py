"""Cells with exponential gates, matrix memories, tensors and memories of their own."""

import torch
from equations import equations


def forget_gate(cell):
    return torch.sigmoid if cell.forget == "sigmoid" else torch.exp


@equations("slstm", forget="sigmoid", forget_bias=3.0)
@equations("slstm", forget="exp")
def slstm(cell, x):
    """Beck et al. (2024), eq. 8-14, without the stabiliser that cancels."""
    size = cell.hidden_size
    h, c, n = (x.new_zeros(size) for _ in range(3))
    outputs = []
    for x_t in x:
        z, i, o, f = (cell.input(x_t) + h @ cell.recurrent).split(size)
        i, f = torch.exp(i), forget_gate(cell)(f)
        c = f * c + i * torch.tanh(z)
        n = f * n + i
        h = torch.sigmoid(o) * c / n
        outputs.append(h)
    return torch.stack(outputs)


@equations("mlstm", heads=1, forget="sigmoid", forget_bias=3.0)
@equations("mlstm", heads=2, forget="exp")
def mlstm(cell, x):
    """Beck et al. (2024), eq. 19-27, without the stabiliser that cancels."""
    size, heads = cell.hidden_size, cell.heads
    d = size // heads
    sizes = [size, size, size, size, heads, heads]
    W = [weight.unflatten(0, (heads, -1)) for weight in cell.input.weight.split(sizes)]
    b = [bias.unflatten(0, (heads, -1)) for bias in cell.input.bias.split(sizes)]
    C, n = [x.new_zeros(d, d)] * heads, [x.new_zeros(d)] * heads
    outputs = []
    for x_t in x:
        for head in range(heads):
            W_x = [weight[head] @ x_t for weight in W]
            W_x[1] = W_x[1] / d**0.5
            q, k, v, o, i, f = (product + bias[head] for product, bias in zip(W_x, b, strict=True))
            i, f = torch.exp(i), forget_gate(cell)(f)
            C[head] = f * C[head] + i * torch.outer(v, k)
            n[head] = f * n[head] + i * k
            norm = torch.clamp(torch.abs(n[head] @ q), min=1)
            outputs.append(torch.sigmoid(o) * (C[head] @ q) / norm)
    return torch.cat(outputs).view(len(x), size)


@equations("recursive", tensor=False)
@equations("recursive", tensor=True)
def recursive(cell, x):
    """Socher et al. (2011), eq. 2, and (2013), section 4.3, with one child and an input."""
    size = cell.hidden_size
    p, outputs = x.new_zeros(size), []
    for x_t in x:
        total = cell.input(x_t) + p @ cell.recurrent
        if cell.tensor:
            V = cell.quadratic.unflatten(1, (size, size)).unbind(1)
            total = total + torch.stack([p @ slice @ p for slice in V]) / (2 * size)
        p = torch.tanh(total)
        outputs.append(p)
    return torch.stack(outputs)


@equations("graph_lstm", own=False, aggregate="mean")
def graph_lstm(cell, x):
    """Liang et al. (2016), eq. 1 and 2, with one neighbour and nothing of the node's own."""
    size = cell.hidden_size
    h, m, outputs = x.new_zeros(size), x.new_zeros(size), []
    for x_t in x:
        u, o, c, f = (cell.input(x_t) + h @ cell.recurrent).split(size)
        m = torch.sigmoid(f) * m + torch.sigmoid(u) * torch.tanh(c)
        h = torch.tanh(torch.sigmoid(o) * m)
        outputs.append(h)
    return torch.stack(outputs)
