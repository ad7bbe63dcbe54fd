"""`reset_parameters` puts back what a new module has, given the same random state."""

import functools
from typing import get_args

import pytest
import torch
from conftest import create_cells, every_cell
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune, skip_init

import structnet as sn
from structnet.nn.apart import stacked
from structnet.nn.convolution import Convolution, Kind
from structnet.nn.stack import Skip, Stack

ARITIES = [1, 2, None]
STARTS = {
    "forget bias": ("lstm", {"forget_bias": 2.5}),
    "chrono": ("lstm", {"chrono": 20}),
    "forget bias of an slstm": ("slstm", {"forget_bias": 4.0}),
    "forget bias of an mlstm": ("mlstm", {"forget_bias": 4.0, "heads": 2}),
    "chrono of a gru": ("gru", {"chrono": 9}),
    "all of an lstm": ("lstm", {"peephole": True, "projection_size": 3, "layer_norm": True}),
    "diagonal": ("lstm", {"diagonal": True}),
    "identity": ("elman", {"init": "identity", "nonlinearity": "relu"}),
    "tensor": ("recursive", {"tensor": True}),
    "attention": ("gru", {"aggregate": "attention"}),
    "gated": ("lstm", {"aggregate": "gated"}),
    "own": ("graph_lstm", {"own": True}),
}


def tensors(module):
    return {name: one.detach().clone() for name, one in
            (*module.named_parameters(), *module.named_buffers())}  # fmt: skip


def made(make, seed=5):
    torch.manual_seed(seed)
    return make()


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def assert_resets(make, buffers=True):
    """A new module, one reset after training, and one that was made on the meta device, are one."""
    expected = tensors(made(make))
    after = torch.rand(3)
    for module in (made(make, 6), *([made_on_meta(make)] if buffers else ())):
        with torch.no_grad():
            for one in (*module.parameters(), *(module.buffers() if buffers else ())):
                one.fill_(7)
        torch.manual_seed(5)
        module.reset_parameters()
        assert_equal(tensors(module), expected)
        # As many random numbers were drawn.
        assert torch.equal(torch.rand(3), after)
        assert all(one.requires_grad for one in module.parameters())


def made_on_meta(make):
    with torch.device("meta"):
        return make().to_empty(device="cpu")


@every_cell
@pytest.mark.parametrize("arity", ARITIES)
def test_a_cell_is_as_new(cell, arity):
    name, options = cell
    try:
        sn.cells.create(name, 3, 4, arity, **options)
    except ValueError as error:
        pytest.skip(str(error))
    assert_resets(lambda: sn.cells.create(name, 3, 4, arity, **options))


@pytest.mark.parametrize("start", STARTS)
def test_where_a_cell_starts_comes_back(start):
    name, options = STARTS[start]
    arity = 1 if "aggregate" not in options else None
    assert_resets(lambda: sn.cells.create(name, 4, 4, arity, **options))


class Plain(sn.Cell):
    """Written without a thought of resetting: starts and parameters in `__init__` alone."""

    node_gates = ("u",)
    edge_gates = ("f",)

    def __init__(self, input_size, hidden_size, arity, *, slope=0.5):
        super().__init__(input_size, hidden_size, arity)
        self.bias("f").fill_(1.5)
        self.slope = nn.Parameter(torch.full((hidden_size,), slope))
        self.mix = nn.Linear(hidden_size, hidden_size)
        nn.init.zeros_(self.mix.bias)
        self.register_buffer("steps", torch.arange(3.0))
        self.reset_parameters()

    def forward(self, z, h):
        (u,), (f,) = self.gates(z, h)
        return self.mix(u * self.slope) + (f.sigmoid() * h).sum(1)


class Traditional(Plain):
    """As torch's modules do it."""

    @torch.no_grad()
    def reset_parameters(self):
        super().reset_parameters()
        self.recurrent.mul_(0.5)


@pytest.mark.parametrize("kind", [Plain, Traditional])
def test_a_strangers_cell_is_as_new(kind):
    assert_resets(lambda: kind(3, 4, 2, slope=0.1))
    assert_resets(lambda: sn.Recurrence("tree", kind, 3, 4))


class Unaware(nn.Module):
    """No `sn.Cell`: all it needs to be."""

    def __init__(self, input_size, hidden_size, arity):
        super().__init__()
        self.state_sizes = (hidden_size,)
        self.project, self.back = nn.Linear(input_size, hidden_size), nn.GRUCell(*[hidden_size] * 2)

    def forward(self, z, h):
        return self.back(z, h.mean(1))


LAYERS = {
    "layer": lambda: sn.Recurrence("bichain", "lstm", 3, 4, forget_bias=3.0),
    "any module": lambda: sn.Recurrence("chain", Unaware, 3, 4),
    "edges": lambda: sn.Recurrence("graph", "lstm", 3, 4, edge_size=2),
    "rnn": lambda: sn.RNN("gru", 3, 4, 2, bidirectional=True, reset="after"),
    "apart": lambda: stacked(
        functools.partial(sn.Recurrence, cell="elman", hidden_size=4),
        sn.topologies.create("bichain"), 3, 2, apart=True,
    ),
    **{f"stack {skip}": lambda skip=skip: Stack(
        lambda size: sn.Recurrence("chain", "gru", size, 5), 3, 3, skip=skip)
       for skip in get_args(Skip)},
    **{f"convolution {kind}": lambda kind=kind: Convolution(kind, 3, 4) for kind in get_args(Kind)},
    **{f"readout {name}": lambda name=name: sn.readouts.create(name, 4, 2)
       for name in sn.readouts.names()},
}  # fmt: skip


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_is_as_new(layer):
    assert_resets(LAYERS[layer])


@pytest.mark.parametrize("tokens", [True, False])
def test_a_net_is_as_new(tokens):
    words = sn.Vocabulary({"a": 9, "b": 4})
    sizes = sn.Sizes(words if tokens else None, None if tokens else 3, 2)
    assert_resets(
        lambda: sn.nets.create(
            "stack",
            sizes,
            sn.topologies.create("graph"),
            functools.partial(sn.cells.create, "lstm"),
            functools.partial(sn.readouts.create, "attention"),
            parameters=3000,
            embedding_size=3,
            num_layers=2,
            before="gin",
            after="gat",
            skip="highway",
        )
    )


def test_a_cell_of_another_type_is_as_new():
    expected = tensors(made(lambda: sn.cells.create("lstm", 3, 4, 1)).double())
    cell = made(lambda: sn.cells.create("lstm", 3, 4, 1), 6).double()
    torch.manual_seed(5)
    cell.reset_parameters()
    assert_equal(tensors(cell), expected)


def test_what_is_pruned_or_parametrised_starts_anew_under_it():
    fresh = made(lambda: sn.cells.create("lstm", 3, 4, 1))
    cell = made(lambda: sn.cells.create("lstm", 3, 4, 1), 6)
    prune.random_unstructured(cell, "recurrent", amount=0.5)
    parametrizations.weight_norm(cell.input)
    mask = cell.recurrent_mask.clone()
    torch.manual_seed(5)
    cell.reset_parameters()
    assert torch.equal(cell.recurrent_orig, fresh.recurrent)
    assert torch.equal(cell.recurrent_mask, mask)
    assert torch.allclose(cell.input.weight, fresh.input.weight, atol=1e-6)
    assert torch.equal(cell.input.bias, fresh.input.bias)


def test_a_parametrisation_without_an_inverse_is_of_the_new_values():
    class Doubled(nn.Module):
        def forward(self, x):
            return 2 * x

    fresh = made(lambda: sn.cells.create("gru", 3, 4, 1))
    cell = made(lambda: sn.cells.create("gru", 3, 4, 1), 6)
    parametrize.register_parametrization(cell, "recurrent", Doubled())
    torch.manual_seed(5)
    cell.reset_parameters()
    assert torch.equal(cell.recurrent, 2 * fresh.recurrent)


def test_another_input_layer_is_reset_in_its_place():
    cell = sn.cells.create("lstm", 3, 4, 1)
    cell.input = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 16))
    with torch.no_grad():
        for one in cell.parameters():
            one.fill_(7)
    cell.reset_parameters()
    assert all((one != 7).any() for one in cell.parameters())


def test_another_linear_layer_starts_as_the_cells_own():
    expected = tensors(made(lambda: sn.cells.create("lstm", 3, 4, 1)))
    cell = sn.cells.create("lstm", 3, 4, 1)
    cell.input = nn.Linear(3, 16)
    torch.manual_seed(5)
    cell.reset_parameters()
    assert_equal(tensors(cell), expected)


def test_modules_reset_one_by_one_find_the_random_state_of_a_new_cell():
    expected = tensors(made(lambda: sn.cells.create("lstm", 3, 4, 1, chrono=20)))
    cell = sn.cells.create("lstm", 3, 4, 1, chrono=20)
    torch.manual_seed(5)
    cell.apply(lambda m: m.reset_parameters() if hasattr(m, "reset_parameters") else None)
    assert_equal(tensors(cell), expected)


def test_a_masked_map_is_as_new():
    from structnet.plugins.grid.pixel.masked import Masked, ranks

    assert_resets(
        lambda: Masked(ranks(6, 3), ranks(9, 3), ((0, 0), (-1, 0)), given=2), buffers=False
    )


def test_what_has_no_start_value_is_refused():
    cell = sn.cells.create("elman", 3, 4, 1)
    cell.extra = nn.Parameter(torch.ones(2))
    with pytest.raises(ValueError, match=r"new .* has no parameters \['extra'\]"):
        cell.reset_parameters()
    cell = sn.cells.create("elman", 3, 4, 1)
    del cell.recurrent
    with pytest.raises(ValueError, match="no longer has 'recurrent'"):
        cell.reset_parameters()
    layer = sn.Recurrence("chain", Unaware, 3, 4)
    layer.cells[0].own = nn.Parameter(torch.ones(2))
    with pytest.raises(ValueError, match=r"Unaware has no reset_parameters for its \['own'\]"):
        layer.reset_parameters()


def test_modules_reset_one_by_one_are_as_new_where_nothing_is_drawn():
    """The usual way to draw a model anew: `model.apply`."""
    for name in (one.values[0][0] for one in create_cells()):
        arity = None if name == "graph_lstm" else 2
        fresh, cell = (sn.cells.create(name, 6, 6, arity) for _ in range(2))
        with torch.no_grad():
            for one in cell.parameters():
                one.fill_(7)
        cell.apply(lambda m: m.reset_parameters() if hasattr(m, "reset_parameters") else None)
        for path, one in fresh.named_parameters():
            found = cell.get_parameter(path)
            assert not one.numel() or (found != 7).any(), (name, path)
            if one.numel() and one.std(correction=0) == 0:
                assert torch.equal(found, one), (name, path)


def test_a_layer_can_be_made_without_drawing():
    expected = tensors(made(lambda: sn.Recurrence("tree", "lstm", 3, 4, chrono=5)))
    layer = skip_init(sn.Recurrence, "tree", "lstm", 3, 4, chrono=5)
    torch.manual_seed(5)
    layer.reset_parameters()
    assert_equal(tensors(layer), expected)
    double = made(lambda: sn.Recurrence("tree", "lstm", 3, 4, chrono=5, dtype=torch.float64))
    assert_equal(tensors(double), {name: one.double() for name, one in expected.items()})


@pytest.mark.parametrize("name", ["slstm", "mlstm"])
@pytest.mark.parametrize("arity", ARITIES)
def test_the_forget_biases_of_an_xlstm_start_where_they_are_told_to(name, arity):
    cell = sn.cells.create(name, 3, 4, arity, forget_bias=2.5)
    bias = cell.input.bias.detach()
    count = {"slstm": 4, "mlstm": arity or 1}[name]
    assert torch.equal(bias[-count:], torch.full((count,), 2.5))
    assert not bias[:-count].any()
