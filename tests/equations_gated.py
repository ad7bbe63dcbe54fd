"""Gated cells."""

from functools import partial

import torch
from equations import equations


def unrolled(step):
    """The transcription of a cell whose one state is its output: `step(cell, x, h)` is the next."""

    def run(cell, x, **options):
        h, outputs = x.new_zeros(cell.hidden_size), []
        for x_t in x:
            h = step(cell, x_t, h, **options)
            outputs.append(h)
        return torch.stack(outputs)

    return run


@equations("elman", nonlinearity="tanh", aggregate="sum")
@equations("elman", nonlinearity="relu", init="identity")
@unrolled
def elman(cell, x, h):
    """Elman (1990); how it starts changes nothing of it."""
    g = torch.tanh if cell.nonlinearity == "tanh" else torch.relu
    return g(cell.input(x) + h @ cell.recurrent)


@equations("jordan")
@unrolled
def jordan(cell, x, y):
    """Jordan (1986)."""
    h = torch.tanh(cell.input(x) + y @ cell.recurrent)
    return torch.tanh(h @ cell.recurrent_output + cell.output_bias)


@equations("gru", aggregate="sum")
@unrolled
def gru(cell, x, h):
    """Cho et al. (2014), eq. 5-8, the reset gate after the product."""
    r_x, u_x, n_x = cell.input(x).chunk(3)
    r_h, u_h, n_h = (h @ cell.recurrent).chunk(3)
    r, u = torch.sigmoid(r_x + r_h), torch.sigmoid(u_x + u_h)
    return (1 - u) * torch.tanh(n_x + r * (n_h + cell.candidate_bias)) + u * h


@equations("gru", reset="before", chrono=9)
@unrolled
def gru_before(cell, x, h):
    """Cho et al. (2014), eq. 5-8."""
    r_x, u_x, n_x = cell.input(x).chunk(3)
    r_h, u_h = (h @ cell.recurrent).chunk(2)
    r, u = torch.sigmoid(r_x + r_h), torch.sigmoid(u_x + u_h)
    return (1 - u) * torch.tanh(n_x + (r * h) @ cell.recurrent_candidate) + u * h


@equations("mgu", aggregate="sum")
@unrolled
def mgu(cell, x, h):
    """Zhou et al. (2016)."""
    f_x, n_x = cell.input(x).chunk(2)
    f = torch.sigmoid(f_x + h @ cell.recurrent)
    return (1 - f) * h + f * torch.tanh(n_x + (f * h) @ cell.recurrent_candidate)


def as_state(cell, x):
    """x where it may be added to a state, else its projection."""
    return x if cell.input_size == cell.hidden_size else cell.as_state.weight @ x


@equations("mut1")
@unrolled
def mut1(cell, x, h):
    """Jozefowicz et al. (2015), MUT1."""
    z, r = cell.input(x).chunk(2)
    z, r = torch.sigmoid(z), torch.sigmoid(r + h @ cell.recurrent)
    n = (r * h) @ cell.recurrent_candidate + torch.tanh(as_state(cell, x)) + cell.candidate_bias
    return torch.tanh(n) * z + h * (1 - z)


@equations("mut2")
@unrolled
def mut2(cell, x, h):
    """Jozefowicz et al. (2015), MUT2."""
    z_x, n_x = cell.input(x).chunk(2)
    z_h, r_h = (h @ cell.recurrent).chunk(2)
    z = torch.sigmoid(z_x + z_h)
    r = torch.sigmoid(as_state(cell, x) + r_h + cell.reset_bias)
    return torch.tanh((r * h) @ cell.recurrent_candidate + n_x) * z + h * (1 - z)


@equations("mut3")
@unrolled
def mut3(cell, x, h):
    """Jozefowicz et al. (2015), MUT3."""
    z_x, r_x, n_x = cell.input(x).chunk(3)
    z = torch.sigmoid(z_x + torch.tanh(h) @ cell.recurrent_update)
    r = torch.sigmoid(r_x + h @ cell.recurrent)
    return torch.tanh((r * h) @ cell.recurrent_candidate + n_x) * z + h * (1 - z)


def lstm(cell, x, coupled=False, drop_gate=None, peephole=False, layer_norm=False, **others):
    """Gers et al. (2000), with the changes that the options name.

    Peepholes: Gers and Schmidhuber (2000). Coupled: Greff et al. (2015). Dropped gates: Jozefowicz
    et al. (2015). Projection: Sak et al. (2014), eq. 12. Normalisation: Ba et al. (2016).
    """
    dropped = {"input": "i", "forget": "f", "output": "o", None: ""}[drop_gate]
    names = [name for name in "iouf" if name not in (dropped, "i" if coupled else "")]
    sums = linear_gates(cell, names, **others)
    normal = partial(normalised, cell, names) if layer_norm else lambda a: a

    def gate(a, name, c):
        if name not in names:
            return torch.ones_like(c)
        return torch.sigmoid(
            a[name] + (peephole and getattr(cell, f"peephole_{name}").view(-1) * c)
        )

    h, c, outputs = x.new_zeros(cell.output_size), x.new_zeros(cell.hidden_size), []
    for x_t in x:
        a = normal(sums(x_t, h))
        f = gate(a, "f", c)
        i = 1 - f if coupled else gate(a, "i", c)
        c = i * torch.tanh(a["u"]) + f * c
        seen = layer_normal(c, cell.memory_gain, cell.memory_bias) if layer_norm else c
        h = gate(a, "o", c) * torch.tanh(seen)
        h = h @ cell.projection if others.get("projection_size") else h
        outputs.append(h)
    return torch.stack(outputs)


def linear_gates(cell, names, diagonal=False, **_):
    """(x, h) -> W x + U h + b by name; U of every gate but u is diagonal, if any is."""
    size = cell.hidden_size
    weight = dict(zip(names, cell.input.weight.split(size), strict=True))
    bias = torch.zeros(len(names) * size).double() if cell.input.bias is None else cell.input.bias
    bias = dict(zip(names, bias.split(size), strict=True))
    full = [name for name in names if name == "u" or not diagonal]
    recurrent = dict(zip(full, cell.recurrent.T.split(size), strict=True))
    others = [name for name in names if name not in full]
    scale = cell.diagonal_recurrent[0] if others else ()
    recurrent.update({name: row.diag() for name, row in zip(others, scale, strict=True)})
    return lambda x, h: {
        name: weight[name] @ x + recurrent[name] @ h + bias[name] for name in names
    }


def normalised(cell, names, gates):
    gain, bias = (all.chunk(len(names)) for all in (cell.norm_gain, cell.norm_bias))
    return {n: layer_normal(gates[n], gain[k], bias[k]) for k, n in enumerate(names)}


def layer_normal(a, gain, bias):
    """Ba et al. (2016), eq. 4, with torch's constant below the root."""
    return gain * (a - a.mean()) / (a.var(correction=0) + 1e-5).sqrt() + bias


# A slot to carry memory from needs ordered slots: tests/test_cells.py names some. Aggregates other
# than the default need unordered predecessors: tests/test_aggregate.py names them.
for options in (
    {"forget_bias": 0.5, "forget": None, "aggregate": "sum"},
    {"peephole": True},
    {"coupled": True, "chrono": 9, "projection_size": 3},
    {"coupled": True, "drop_gate": "output", "peephole": True},
    {"drop_gate": "input", "layer_norm": True, "diagonal": True},
    {"drop_gate": "forget", "peephole": True},
    {"drop_gate": "output"},
    {"diagonal": True, "peephole": True},
    {"layer_norm": True, "projection_size": 1},
):
    equations("lstm", **options)(partial(lstm, **options))
