"""Cells that are linear in their state."""

import torch
from equations import equations


def sigma(v):
    return 1 / (1 + torch.exp(-v))


def softplus(v):
    return torch.log(1 + torch.exp(v))


def g(v):
    """Feng et al. (2024), appendix B: the candidate's nonlinearity in log space."""
    return torch.where(v >= 0, v + 0.5, sigma(v))


@equations("mingru")
@equations("mingru", positive=True)
def mingru(cell, x):
    """Feng et al. (2024), section 3.1."""
    n, u = cell.input(x).chunk(2, dim=1)
    h, outputs = x.new_zeros(cell.hidden_size), []
    for t in range(len(x)):
        z = sigma(u[t])
        h = (1 - z) * h + z * (g(n[t]) if cell.positive else n[t])
        outputs.append(h)
    return torch.stack(outputs)


@equations("minlstm")
@equations("minlstm", positive=True)
def minlstm(cell, x):
    """Feng et al. (2024), section 3.2."""
    n, i, f = cell.input(x).chunk(3, dim=1)
    h, outputs = x.new_zeros(cell.hidden_size), []
    for t in range(len(x)):
        forget, enter = sigma(f[t]), sigma(i[t])
        total = forget + enter
        h = forget / total * h + enter / total * (g(n[t]) if cell.positive else n[t])
        outputs.append(h)
    return torch.stack(outputs)


@equations("indrnn", nonlinearity="relu")
@equations("indrnn", nonlinearity="tanh")
@equations("indrnn", nonlinearity="none")
def indrnn(cell, x):
    """Li et al. (2018), eq. 2."""
    squash = {"relu": torch.relu, "tanh": torch.tanh, "none": lambda v: v}[cell.nonlinearity]
    (u,) = cell.diagonal_recurrent
    h, outputs = x.new_zeros(cell.hidden_size), []
    for x_t in x:
        h = squash(cell.input.weight @ x_t + u * h + cell.input.bias)
        outputs.append(h)
    return torch.stack(outputs)


@equations("sru", peephole=False)
@equations("sru", peephole=True)
def sru(cell, x):
    """Lei et al. (2018), eq. 1-4; without v as in their first version."""
    W_r, W_f = cell.input.weight.chunk(2)
    b_r, b_f = cell.input.bias.chunk(2)
    c = x.new_zeros(cell.hidden_size)
    v_f, v_r = (0 * c, 0 * c) if cell.peephole is None else cell.peephole[:, 0]
    outputs = []
    for x_t in x:
        f = sigma(W_f @ x_t + v_f * c + b_f)
        r = sigma(W_r @ x_t + v_r * c + b_r)
        c = f * c + (1 - f) * (cell.candidate.weight @ x_t)
        skip = x_t if len(x_t) == len(c) else cell.highway.weight @ x_t
        outputs.append(r * c + (1 - r) * skip)
    return torch.stack(outputs)


@equations("fo")
def fo(cell, x):
    """Bradbury et al. (2017), eq. 1 and 4."""
    n, o, f = cell.input(x).chunk(3, dim=1)
    c, outputs = x.new_zeros(cell.hidden_size), []
    for t in range(len(x)):
        c = sigma(f[t]) * c + (1 - sigma(f[t])) * torch.tanh(n[t])
        outputs.append(sigma(o[t]) * c)
    return torch.stack(outputs)


@equations("ssm", selective=False, state_size=3)
def s4d(cell, x):
    """Gu et al. (2022): the zero-order hold, in matrices, channel by channel."""
    outputs = []
    step = softplus(cell.step[0])
    for channel, u in enumerate(cell.input(x).T):
        A = torch.diag(-torch.exp(cell.log_rate[channel]))
        B, C = cell.write[channel], cell.read[channel]
        bar_A = torch.linalg.matrix_exp(step[channel] * A)
        bar_B = torch.linalg.solve(A, (bar_A - torch.eye(3)) @ B)
        h, y = torch.zeros_like(B), []
        for u_t in u:
            h = bar_A @ h + bar_B * u_t
            y.append(C @ h + cell.direct[channel] * u_t)
        outputs.append(torch.stack(y))
    return torch.stack(outputs, dim=1)


@equations("ssm", selective=True, state_size=3, combine="mean")
@equations("ssm", selective=True, state_size=2, combine="sum")
def s6(cell, x):
    """Gu and Dao (2023), algorithm 2, the discretisation of their code: b = step B u."""
    A = -torch.exp(cell.log_rate)
    W_d, W_B, W_C = cell.select.weight.split([cell.hidden_size, *[cell.state_size] * 2])
    h, outputs = torch.zeros_like(A), []
    for x_t in x:
        u = cell.input(x_t)
        step = softplus(cell.step[0] + W_d @ u)
        h = torch.exp(step[:, None] * A) * h + torch.outer(step * u, W_B @ u)
        outputs.append(h @ (W_C @ u) + cell.direct * u)
    return torch.stack(outputs)
