"""What the equations in docstrings say is what the cells compute."""

import pytest
import torch
from conftest import assert_same, randomise
from notation import equations_of
from said import Said, weights

import structnet as sn

BUILT_IN = [n for n in sn.cells.names() if sn.cells[n].__module__.startswith("structnet.")]
SIZE, SLOTS, NODES = 4, 3, 2
# States that are kept divided by e^m.
SCALED = "slstm", "mlstm"


def typed(value):
    """A value of an option, as it is typed."""
    words = {"true": True, "false": False}
    return words[value] if value in words else int(value) if value.isdigit() else value


def cases():
    for name in BUILT_IN:
        for arity in (1, SLOTS, None):
            yield name, arity, ()
        whens = dict.fromkeys(one.when for one in equations_of(sn.cells[name]) if "=" in one.when)
        yield from ((name, SLOTS, (when,)) for when in whens)


def expected(name, cell, x, states, whens):
    """The equations' output, and the states that they name, of one node."""
    slots = states[0].shape[0]
    sizes = {"k": slots, "j": slots, "n": getattr(cell, "state_size", 0)}
    given = {**weights(name, cell, slots), "x": x[: cell.input_size, None]}
    for state, values in zip(cell.states, states, strict=True):
        given[f"{state}_#"] = [value[:, None] for value in values]
    if name == "mlstm":
        given["C_#"] = list(states[0].unflatten(1, (SIZE, SIZE)))
    if name == "ssm":
        given["h_##"] = list(states[0].unflatten(1, (-1, SIZE, 1)))
    if name == "recursive" and cell.arity is None:
        given["h_#"] = [sum(given["h_#"])]
    if getattr(cell, "reads_own", False):
        given |= {f"{one}_0": v[:, None] for one, v in zip("hm", x[-2 * SIZE :].chunk(2))}  # noqa: B905
    if "forget=0" in whens:
        given["c_0"] = given["c_#"][0]
    said = Said(name, sn.cells[name], whens, given, sizes)
    output = {"ssm": "y", "jordan": "y"}.get(name, "h")
    named = [one for one in cell.states if one in said.equations and one != "m"]
    return {one: said.value(one, {}) for one in dict.fromkeys((output, *named))}


@pytest.mark.parametrize("size", [SIZE, 3])
@pytest.mark.parametrize(("name", "arity", "whens"), list(cases()))
def test_a_cell_computes_what_its_docstring_says(name, arity, whens, size):
    torch.manual_seed(0)
    options = {key: typed(value) for key, _, value in (one.partition("=") for one in whens)}
    cell = sn.cells.create(name, size, SIZE, arity, **options).double()
    randomise(cell, scale=0.5)
    for key, one in cell.named_parameters():
        if key.startswith(("norm_", "memory_")):
            # Gain and bias are left out of the equations.
            one.data.fill_(key.endswith("gain"))
    slots = arity or SLOTS
    x = torch.randn(NODES, size + 2 * SIZE * getattr(cell, "reads_own", False)).double()
    states = [torch.rand(NODES, slots, one).double() + 0.1 for one in cell.state_sizes]
    if name in SCALED:
        # Not scaled.
        states[-1].zero_()
    z = cell.project(x)
    new = cell(z, *states)
    new = (new,) if isinstance(new, torch.Tensor) else new
    for node in range(NODES):
        of = expected(name, cell, x[node], [one[node] for one in states],
                      (*whens, *["unordered predecessors"] * (arity is None)))  # fmt: skip
        output, *named = of
        assert_same(cell.output(z, *new)[node].detach(), of[output].flatten().detach())
        for one in named:
            found = dict(zip(cell.states, new, strict=True))[one][node]
            scale = new[-1][node].exp() if name in SCALED else 1
            assert_same((found * scale).detach(), of[one].flatten().detach())


def test_every_condition_is_an_option_or_kind_of_predecessors():
    for name in BUILT_IN:
        for one in equations_of(sn.cells[name]):
            option = one.when.partition("=")[0]
            assert option in (*sn.cells.options(name), "unordered predecessors", ""), (name, one)
