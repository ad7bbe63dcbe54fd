"""What is put on a cell's weights and modules acts wherever they are read, as in a call."""

import pytest
import torch
from conftest import assert_same, features
from torch import nn
from torch.nn.utils import parametrizations, prune

import structnet as sn
from structnet.diagnosis.saturation import spectral_radii

OPTIONS = {
    "lstm": [{"peephole": True, "layer_norm": True}],
    "gru": [{"reset": "before"}, {"chrono": 5}],
    "indrnn": [{"nonlinearity": "none"}, {}],
    "sru": [{}, {"peephole": True}],
    "ssm": [{}, {"selective": False}],
    "recursive": [{"tensor": True}],
    "mlstm": [{"heads": 2}, {}],
}
CELLS = [(name, options) for name in sn.cells.names() for options in OPTIONS.get(name, [{}])]
PLANS = {"chain": [4, 2], "tree": [[[1, 2], [-1, -1], [-1, -1]]]}


def layer_of(topology, cell, seed=0, **more):
    torch.manual_seed(seed)
    name, options = cell
    layer = sn.Recurrence(topology, name, 3, 2, **options, **more).double()
    plans = layer.topology.plan(PLANS[topology])
    return layer, features(plans), plans


def names_of(cell):
    return [name for name, one in cell.named_parameters() if one.numel()]


def owner_of(cell, path):
    *above, name = path.split(".")
    return cell.get_submodule(".".join(above)), name


@pytest.mark.parametrize("topology", PLANS)
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_pruned_tensor_is_the_one_of_now_wherever_a_cell_reads_it(cell, topology):
    for path in names_of(layer_of(topology, cell)[0].cells[0]):
        (layer, x, plans), (plain, _, _) = (layer_of(topology, cell) for _ in range(2))
        module, name = owner_of(layer.cells[0], path)
        prune.random_unstructured(module, name, amount=0.5)
        own = getattr(module, f"{name}_orig")
        mask = getattr(module, f"{name}_mask")
        twin = plain.cells[0].get_parameter(path)
        with torch.no_grad():
            own.add_(1.5)
            twin.copy_(own * mask)
            assert_same(layer(x, plans), plain(x, plans))
        expected = torch.autograd.grad(plain(x, plans).sum(), twin)[0] * mask
        for _ in range(2):
            # What the hook computed last has lost its graph by the second time.
            found = torch.autograd.grad(layer(x, plans).sum(), own)[0]
            assert_same((path, found), (path, expected))


class Adapted(nn.Module):
    """A low-rank adapter around a layer."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer
        self.low = nn.Linear(layer.in_features, 1, bias=False)
        self.high = nn.Linear(1, layer.out_features, bias=False)

    def forward(self, x):
        return self.layer(x) + self.high(self.low(x))


@pytest.mark.parametrize("topology", PLANS)
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_an_input_layer_in_the_place_of_a_cells_own_is_called(cell, topology):
    (layer, x, plans), (plain, _, _) = (layer_of(topology, cell) for _ in range(2))
    one = layer.cells[0]
    adapted = Adapted(one.input).double()
    adapted.bias = one.input.bias
    one.input = adapted
    with torch.no_grad():
        plain.cells[0].input.weight.add_(adapted.high.weight @ adapted.low.weight)
    for executor in ("auto", "batched", "reference"):
        assert_same(layer(x, plans, executor=executor).detach(), plain(x, plans).detach())


def test_an_input_layer_without_a_bias_is_all_there_is_to_the_keys():
    layer, x, plans = layer_of("chain", ("mlstm", {"heads": 1}))
    plain = layer_of("chain", ("mlstm", {"heads": 1}))[0]
    with torch.no_grad():
        plain.cells[0].input.bias.zero_()
    own = nn.Linear(3, plain.cells[0].input.out_features, bias=False).double()
    own.weight = plain.cells[0].input.weight
    layer.cells[0].input = nn.Sequential(own)
    assert_same(layer(x, plans).detach(), plain(x, plans).detach())


@pytest.mark.parametrize(
    "cell", [("mingru", {}), ("ssm", {}), ("indrnn", {"nonlinearity": "none"})]
)
def test_a_cell_with_hooks_is_called(cell):
    layer, x, plans = layer_of("chain", cell)
    expected, calls = layer(x, plans).detach(), []
    layer.cells[0].register_forward_hook(lambda module, args, out: calls.append(1) or 2 * out)
    found = layer(x, plans).detach()
    assert calls
    assert_same(found, layer(x, plans, executor="reference").detach())
    assert not torch.allclose(found, expected)
    with pytest.raises(ValueError, match="or hooks; take executor='auto'"):
        layer(x, plans, executor="scan")


@pytest.mark.parametrize("cell", ["lstm", "mgu"])
def test_spectral_radii_are_of_the_weights_in_use(cell):
    layer, _, _ = layer_of("chain", (cell, {}))
    one = layer.cells[0]
    prune.random_unstructured(one, "recurrent", amount=0.5)
    with torch.no_grad():
        one.recurrent_orig.mul_(3)
    plain = layer_of("chain", (cell, {}))[0].cells[0]
    with torch.no_grad():
        plain.recurrent.copy_(one.recurrent_orig * one.recurrent_mask)
    assert sorted(spectral_radii(one, {})) == sorted(spectral_radii(plain, {}))
    parametrizations.weight_norm(plain, "recurrent")
    found = {radius[:4]: radius.value for radius in spectral_radii(plain, {})}
    for radius in spectral_radii(one, {}):
        assert found[radius[:4]] == pytest.approx(radius.value, rel=1e-9)


def test_weight_drop_is_refused_where_the_weights_are_computed():
    layer, x, plans = layer_of("chain", ("lstm", {}), weight_drop=0.5)
    prune.random_unstructured(layer.cells[0], "recurrent", amount=0.5)
    assert layer(x, plans).shape == (6, 2)
    prune.remove(layer.cells[0], "recurrent")
    parametrizations.weight_norm(layer.cells[0], "recurrent")
    with pytest.raises(ValueError, match=r"'recurrent' of .* is computed from others"):
        layer(x, plans)
    layer.eval()(x, plans)


class Doubled(nn.Linear):
    def forward(self, input):
        return 2 * super().forward(input)


@pytest.mark.parametrize("cell", [("lstm", {}), ("gru", {"reset": "after"}), ("elman", {})])
def test_an_input_layer_of_another_class_is_called_on_chains_of_one_length(cell):
    layer, _, _ = layer_of("chain", cell)
    plain = layer.cells[0].input
    layer.cells[0].input = Doubled(plain.in_features, plain.out_features).double()
    plans = layer.topology.plan([3, 3])
    x = features(plans)
    assert_same(layer(x, plans).detach(), layer(x, plans, executor="reference").detach())
    with pytest.raises(ValueError, match="the input layer is a Doubled; take executor='auto'"):
        layer(x, plans, executor="torch")


@pytest.mark.parametrize("method", ["forward", "project"])
@pytest.mark.parametrize("cell", [("lstm", {}), ("elman", {}), ("fo", {}), ("mingru", {})])
def test_a_method_replaced_on_the_cell_itself_is_called(cell, method):
    layer, _, _ = layer_of("chain", cell)
    own, original = layer.cells[0], getattr(layer.cells[0], method)

    def other(*given):
        found = original(*given)
        return tuple(one / 2 for one in found) if isinstance(found, tuple) else found / 2

    setattr(own, method, other)
    plans = layer.topology.plan([3, 3])
    x = features(plans)
    assert_same(layer(x, plans).detach(), layer(x, plans, executor="reference").detach())
