"""What goes by the names of torch's weights, or by those of the cells, acts on an RNN."""

import pytest
import torch
from conftest import assert_same, randomise
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

import structnet as sn
from structnet.nn.torch_weights.form import TorchForm

KINDS = {"lstm": (nn.LSTM, {}), "projected": (nn.LSTM, {"proj_size": 2}), "gru": (nn.GRU, {}),
         "elman": (nn.RNN, {})}  # fmt: skip
LENGTHS = (None, [5, 5], [5, 3])
every_kind = pytest.mark.parametrize("kind", KINDS)
pytestmark = [
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported:UserWarning"),
    pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning"),
]


def pair(kind, num_layers=2, **options):
    """Torch's module and ours with the same weights."""
    module, own = KINDS[kind]
    theirs = randomise(module(3, 4, num_layers, batch_first=True, **own, **options).double())
    return theirs, sn.RNN.from_torch(theirs)


def steps(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 5, 3, generator=generator).double()


def assert_alike(ours, theirs):
    """The same numbers for equal and for other lengths, with and without gradients."""
    x = steps()
    expected, _ = theirs(x)
    for lengths in LENGTHS:
        for grad in (True, False):
            with torch.set_grad_enabled(grad):
                found, _ = ours(x, lengths=lengths)
            assert_same(found[0], expected[0], 1e-12)
            stop = 5 if lengths is None else lengths[1]
            assert_same(found[1, :stop], theirs(x[1:, :stop])[0][0], 1e-12)


def assert_trains_alike(ours, theirs, num_steps=3):
    optimizers = [torch.optim.SGD(module.parameters(), 0.5) for module in (ours, theirs)]
    for step in range(num_steps):
        for module, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            module(steps(step))[0].pow(2).sum().backward()
            optimizer.step()
    names = list(dict(theirs.named_parameters()))
    assert sorted(dict(ours.named_parameters())) == sorted(names)
    assert_same(
        {name: dict(ours.named_parameters())[name] for name in names},
        dict(theirs.named_parameters()),
        1e-10,
    )
    assert_alike(ours, theirs)


@every_kind
def test_attributes_are_torchs(kind):
    theirs, ours = pair(kind, bidirectional=True)
    for name in ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout",
                 "bidirectional", "proj_size", "mode", "nonlinearity", "training"):  # fmt: skip
        assert getattr(ours, name, None) == getattr(theirs, name, None), name
    for name, weight in theirs.named_parameters():
        assert_same(getattr(ours, name), weight, 0)
    assert_same(
        [list(row) for row in ours.all_weights], [list(row) for row in theirs.all_weights], 0
    )


@every_kind
def test_writing_into_weights_acts(kind):
    theirs, ours = pair(kind, bidirectional=True)
    for module in (ours, theirs):
        torch.manual_seed(0)
        for name, parameter in module.named_parameters():
            if "weight_hh" in name:
                nn.init.orthogonal_(parameter)
            elif "weight" in name:
                nn.init.xavier_uniform_(parameter)
            else:
                nn.init.zeros_(parameter)
        module.bias_ih_l0.data[4:8].fill_(1)
        module.weight_hh_l1_reverse.data.mul_(2)
        nn.init.orthogonal_(module.weight_hh_l1)
        module.all_weights[0][0].data.add_(0.1)
    assert_alike(ours, theirs)


@every_kind
@pytest.mark.parametrize("name", ["weight_hh_l0", "weight_ih_l1", "bias_ih_l0", "bias_hh_l1"])
def test_pruning_acts(kind, name):
    theirs, ours = pair(kind)
    for module in (ours, theirs):
        prune.l1_unstructured(module, name, amount=0.5)
    assert_trains_alike(ours, theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    fresh = pair(kind)[1]
    prune.identity(fresh, name)
    fresh.load_state_dict(theirs.state_dict())
    assert_alike(fresh, theirs)
    for module in (ours, theirs):
        prune.remove(module, name)
    assert_trains_alike(ours, theirs)


@every_kind
@pytest.mark.parametrize("name", ["weight_hh_l0", "weight_ih_l1"])
def test_weight_norm_acts(kind, name):
    for norm in (nn.utils.weight_norm, parametrizations.weight_norm):
        theirs, ours = pair(kind)
        for module in (ours, theirs):
            norm(module, name)
        assert_trains_alike(ours, theirs)


@every_kind
def test_spectral_norm_acts(kind):
    theirs, ours = pair(kind)
    for module in (ours, theirs):
        torch.manual_seed(0)
        parametrizations.spectral_norm(module, "weight_hh_l0")
        module.eval()
    assert_alike(ours, theirs)


class Scaled(nn.Module):
    def forward(self, weight):
        return 2 * weight

    def right_inverse(self, weight):
        return weight / 2


@every_kind
def test_parametrisations_act_and_are_removed(kind):
    theirs, ours = pair(kind)
    for module in (ours, theirs):
        for name in ("weight_hh_l0", "weight_ih_l0", "bias_hh_l1"):
            parametrize.register_parametrization(module, name, Scaled())
    assert_trains_alike(ours, theirs)
    for module in (ours, theirs):
        parametrize.remove_parametrizations(module, "weight_hh_l0")
    assert_trains_alike(ours, theirs)


class WeightDrop(nn.Module):
    """Merity et al. (2018): the raw weight is a parameter of the wrapper."""

    def __init__(self, module, name, by_registry):
        super().__init__()
        self.module, self.name = module, name
        self.raw = nn.Parameter(getattr(module, name).detach().clone())
        if by_registry:
            del module._parameters[name]
        else:
            delattr(module, name)

    def forward(self, x, **options):
        torch.manual_seed(5)
        setattr(self.module, self.name, nn.functional.dropout(self.raw, 0.5))
        return self.module(x, **options)


@every_kind
@pytest.mark.parametrize("by_registry", [True, False])
def test_weight_drop_acts(kind, by_registry):
    theirs, ours = (WeightDrop(module, "weight_hh_l0", by_registry) for module in pair(kind))
    assert_trains_alike(ours, theirs)
    for lengths in LENGTHS:
        ours.zero_grad()
        ours(steps(), lengths=lengths)[0].sum().backward()
        assert ours.raw.grad.any()


@every_kind
def test_a_parameter_that_is_assigned_is_used(kind):
    theirs, ours = pair(kind)
    weight = nn.Parameter(torch.randn_like(theirs.weight_hh_l0))
    for module in (ours, theirs):
        module.weight_hh_l0 = weight
    assert len(list(ours.parameters())) == len(list(theirs.parameters()))
    assert_alike(ours, theirs)
    cell = ours.layers[0].cells[0]
    assert cell.recurrent is weight
    cell.recurrent = nn.Parameter(torch.randn_like(weight))
    theirs.weight_hh_l0 = nn.Parameter(cell.recurrent.detach().clone())
    assert_alike(ours, theirs)
    assert ours.weight_hh_l0 is cell.recurrent


# By the names of the cells


class Adapted(nn.Module):
    """A layer and a product of low rank beside it."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer
        size, inputs = layer.weight.shape
        self.down = nn.Parameter(torch.randn(1, inputs).double())
        self.up = nn.Parameter(torch.randn(size, 1).double())

    def forward(self, x):
        return self.layer(x) + x @ self.down.T @ self.up.T


def put_adapter(cell):
    cell.input = Adapted(cell.input)


PUTS = {
    "pruned": lambda cell: prune.l1_unstructured(cell, "recurrent", amount=0.5),
    "pruned input": lambda cell: prune.l1_unstructured(cell.input, "weight", amount=0.5),
    "normed": lambda cell: nn.utils.weight_norm(cell, "recurrent"),
    "normed input": lambda cell: parametrizations.weight_norm(cell.input, "weight"),
    "parametrised": lambda cell: parametrize.register_parametrization(cell, "recurrent", Scaled()),
    "adapted input": put_adapter,
}


@every_kind
@pytest.mark.parametrize("biases", [1, 2])
@pytest.mark.parametrize("put", PUTS)
def test_what_is_put_on_a_cell_acts_for_all_lengths(kind, put, biases):
    name = "lstm" if kind == "projected" else kind
    own = {"proj_size": 2} if kind == "projected" else {}
    rnn = randomise(sn.RNN(name, 3, 4, batch_first=True, biases=biases, **own).double())
    reference = sn.RNN(name, 3, 4, batch_first=True, executor="reference", biases=biases, **own)
    reference = reference.double()
    reference.load_state_dict(rnn.state_dict())
    for module in (rnn, reference):
        torch.manual_seed(0)
        PUTS[put](module.layers[0].cells[0])
    optimizers = [torch.optim.SGD(module.parameters(), 0.1) for module in (rnn, reference)]
    assert list(dict(rnn.named_parameters())) == list(dict(reference.named_parameters()))
    for step in range(2):
        for lengths in LENGTHS:
            for module, optimizer in zip((rnn, reference), optimizers, strict=True):
                optimizer.zero_grad()
                module(steps(step), lengths=lengths)[0].pow(2).sum().backward()
                optimizer.step()
            with torch.no_grad():
                both = [module(steps(), lengths=lengths)[0] for module in (rnn, reference)]
            assert_same(*both, 1e-10)
    assert_same(dict(rnn.named_parameters()), dict(reference.named_parameters()), 1e-10)


@every_kind
def test_a_weight_taken_by_the_cells_name_leaves_it_one_bias(kind):
    theirs, ours = pair(kind, num_layers=1)
    cell = ours.layers[0].cells[0]
    prune.identity(cell, "recurrent")
    assert_alike(ours, theirs)
    names = [name for name, _ in ours.named_parameters()]
    assert "bias_ih_l0" in names and "bias_hh_l0" not in names


def test_hooks_of_cells_and_layers_are_called():
    rnn = sn.RNN("lstm", 3, 4)
    seen = []
    for module in (rnn.layers[0], rnn.layers[0].cells[0]):
        handle = module.register_forward_hook(lambda *_: seen.append(1))
        rnn(torch.randn(5, 2, 3))
        assert seen
        handle.remove()
        seen.clear()
    rnn(torch.randn(5, 2, 3))
    assert not seen


@every_kind
@pytest.mark.parametrize("own_order", [False, True])
def test_a_cell_of_an_rnn_is_a_cell(kind, own_order):
    _, rnn = pair(kind, num_layers=1)
    cell = rnn.layers[0].cells[0]
    if own_order:
        # As for fused kernels, whose gates are in the cell's order.
        name = "lstm" if kind == "projected" else kind
        own = {"projection_size": 2} if kind == "projected" else {}
        new = TorchForm(sn.cells.create(name, 3, 4, 1, **own), rnn.counterpart, True, True).double()
        new.load_state_dict(cell.state_dict())
        cell = new
    layer = sn.Recurrence("chain", lambda *_: cell, 3, 4)
    plans, x = layer.topology.plan([5, 3]), steps()
    expected, _ = rnn(x, lengths=[5, 3])
    for executor in ("auto", "reference"):
        found = layer(torch.cat([x[0], x[1, :3]]), plans, executor=executor)
        assert_same(found, torch.cat([expected[0], expected[1, :3]]), 1e-12)
    assert_same(rnn.layers[0](torch.cat([x[0], x[1, :3]]), plans), found, 1e-12)


def test_a_weight_that_is_not_there_is_named():
    rnn = sn.RNN("lstm", 3, 4)
    del rnn.weight_hh_l0
    with pytest.raises(AttributeError, match="weight_hh_l0"):
        rnn(torch.randn(5, 2, 3))
    with pytest.raises(AttributeError, match="weight_ih_l0"):
        _ = sn.RNN("mgu", 3, 4).weight_ih_l0
    assert not hasattr(sn.RNN("mgu", 3, 4), "all_weights")
