"""A cell's tensors may be computed elsewhere: their gradients arrive as the reference's do, or the
executor refuses."""

import numpy as np
import pytest
import torch
from conftest import assert_same, every_cell, features, initial_states, random_tree, recurrence
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

import structnet as sn

PLANS = {
    "chain": ("chain", [4, 1, 2]),
    "tree": ("tree", [random_tree(7, np.random.default_rng(0)), np.array([[-1, -1]])]),
    "diagonal": ("diagonal", [(2, 3), (1, 2)]),
    "any_dag": ("any_dag", [[[], [0], [0, 1], [2, 0, 0]], [[]]]),
    "ordered_graph": ("ordered_graph", [sn.Edges([[0, 1, 1, 2], [1, 0, 2, 1]], 3)]),
}
every_plan = pytest.mark.parametrize("kind", PLANS)


def layer_of(kind, cell, **options):
    topology, structures = PLANS[kind]
    layer = recurrence(sn.topologies.create(topology), cell, **options)
    plans = layer.topology.plan(structures)
    return layer, plans, features(plans), initial_states(layer, plans)


def gradients(layer, plans, x, initial, learning, executor=None):
    """The output, and gradients of it and of the states."""
    h, states = layer(x, plans, initial=initial, return_states=True, executor=executor)
    loss = sum((one * torch.arange(1.0, 1 + one.numel()).view(one.shape).to(one).cos()).sum()
               for one in (h, *states))  # fmt: skip
    found = torch.autograd.grad(loss, learning, allow_unused=True, retain_graph=True)
    return [h.detach(), *(torch.zeros_like(one) if grad is None else grad
                          for one, grad in zip(learning, found, strict=True))]  # fmt: skip


def put_computed(layer, as_attributes):
    """Every parameter is now a function of another tensor; the other tensors."""
    raws = []
    for cell in layer.cells:
        for path, one in list(cell.named_parameters()):
            *above, name = path.split(".")
            module = cell.get_submodule(".".join(above))
            raw = one.detach().clone().requires_grad_()
            raws.append(raw)
            if as_attributes:
                del module._parameters[name]
                setattr(module, name, raw.sin())
            else:
                module._parameters[name] = raw.sin()
    return raws


def assert_arrive(kind, cell, as_attributes, **options):
    layer, plans, x, initial = layer_of(kind, cell, **options)
    raws = put_computed(layer, as_attributes)
    for start in {None, initial and tuple(initial)}:
        given = layer, plans, x, start, [x, *raws, *(start or ())]
        save, layer.save = layer.save, "gates"
        expected = gradients(*given, executor="reference")
        layer.save = save
        assert any(grad.any() for grad in expected[2:])
        for executor in ("auto", "batched"):
            assert_same(gradients(*given, executor=executor), expected)


@pytest.mark.parametrize("as_attributes", [True, False])
@pytest.mark.parametrize("kind", ["chain", "any_dag"])
@every_cell
def test_gradients_reach_what_weights_are_computed_from(cell, kind, as_attributes):
    if kind == "chain" and "aggregate" in cell[1]:
        pytest.skip("the aggregate is of unordered predecessors")
    if kind == "any_dag" and "forget" in cell[1] and cell[0] == "lstm":
        pytest.skip("the slot is of ordered predecessors")
    assert_arrive(kind, cell, as_attributes)


@every_plan
@pytest.mark.parametrize("options", [
    {}, {"save": "windows"}, {"truncate": 2},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("cell", ["lstm", "gru", "indrnn"])
def test_they_do_so_on_every_topology_whatever_is_saved(cell, kind, options):
    assert_arrive(kind, cell, True, **options)
    assert_arrive(kind, cell, False, **options)


@pytest.mark.parametrize("kind", ["chain", "any_dag"])
@pytest.mark.parametrize("save", ["gates", "recompute"])
def test_compiled_sweeps_give_the_gradients_of_computed_parameters(traced, kind, save):
    layer, plans, x, _ = layer_of(kind, "mut1", executor="compiled", save=save)
    raws = put_computed(layer, as_attributes=False)
    given = layer, plans, x, None, [x, *raws]
    found = gradients(*given)
    layer.save = "gates"
    assert_same(found, gradients(*given, executor="reference"))


@pytest.mark.parametrize("executor", ["batched", "compiled"])
def test_one_weight_computed_from_another_counts_once(traced, executor):
    """Of two tensors that a layer is given one may be made of the other."""
    layer, plans, x, _ = layer_of("tree", "lstm")
    names = dict(layer.named_parameters())
    weight = names["cells.0.input.weight"]
    own = {"cells.0.recurrent": weight.sin().flatten().repeat(2)[:40].view(4, 10)}
    own["cells.0.input.bias"] = own["cells.0.recurrent"].sum(0)[:8].exp()
    called = Called(layer)
    given = {f"layer.{name}": value for name, value in own.items()}
    grads = []
    for one in ("reference", executor):
        h = torch.func.functional_call(called, given, (x, plans, one))
        grads.append(torch.autograd.grad(h.sum(), [x, weight], retain_graph=True))
    assert_same(list(grads[1]), list(grads[0]))


class Called(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x, plans, executor):
        return self.layer(x, plans, executor=executor)


class Reading(sn.Cell):
    """Uses tensors of others, which of them depends on the nodes it is called for."""

    node_gates = ("u",)

    def __init__(self, input_size, hidden_size, arity, pick, tensors):
        super().__init__(input_size, hidden_size, arity)
        # A closure: nothing that a cell holds.
        self.find = lambda z, h: pick(z, h, tensors)

    def forward(self, z, h):
        (u,), () = self.gates(z, h)
        return u.tanh() + self.find(z, h) * h.sum(1)


WHERE = {
    "everywhere": lambda z, h, tensors: tensors[0],
    "computed": lambda z, h, tensors: tensors[0].exp(),
    "where there are predecessors": lambda z, h, tensors: tensors[0] if h.any() else 1.0,
    "in the last level": lambda z, h, tensors: tensors[0] if len(z) == 1 else 1.0,
    "where one has three predecessors": lambda z, h, tensors: tensors[h.shape[1] < 3],
}


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("save", ["gates", "windows"])
@pytest.mark.parametrize("learns", [True, False])
def test_a_tensor_that_a_cell_does_not_hold_is_refused_where_it_is_first_used(where, save, learns):
    outside = [nn.Parameter(torch.tensor(0.5).double()), torch.tensor(0.3).double()]
    layer = sn.Recurrence(
        "any_dag", lambda *sizes: Reading(*sizes, WHERE[where], outside), 3, 2, save=save,
        executor="batched",
    ).double().requires_grad_(learns)  # fmt: skip
    plans = layer.topology.plan([[[], [], [0, 1], [0, 1, 2], [3, 2, 1]]])
    x = features(plans).detach()
    with pytest.raises(ValueError, match="neither an input nor held by it"):
        layer(x, plans).sum().backward()
    with torch.no_grad():
        expected = layer(x, plans)
    layer.save = "gates"
    found = layer(x, plans, executor="reference")
    assert_same(found.detach(), expected)
    assert torch.autograd.grad(found.sum(), outside[0])[0] != 0


class Grouped(Reading):
    """The same, held in a list in a dict."""

    def __init__(self, input_size, hidden_size, arity, tensors):
        sn.Cell.__init__(self, input_size, hidden_size, arity)
        self.others = {"all": [tensors, nn.Linear(2, 2)]}

    def find(self, z, h):
        (one,), linear = self.others["all"]
        return one * linear(h).mean()


@pytest.mark.parametrize("save", ["gates", "windows"])
@pytest.mark.parametrize("computed", [True, False])
def test_what_lies_in_a_cells_lists_and_dicts_is_held_by_it(save, computed):
    raw = nn.Parameter(torch.tensor(0.5).double())
    tensors = [raw.exp() if computed else raw]
    layer = sn.Recurrence("tree", lambda *sizes: Grouped(*sizes, tensors), 3, 2, save=save).double()
    linear = layer.cells[0].others["all"][1].double()
    plans = layer.topology.plan(PLANS["tree"][1])
    given = plans, features(plans), None, [raw, *linear.parameters(), *layer.parameters()]
    found = gradients(layer, *given)
    layer.save = "gates"
    assert_same(found, gradients(layer, *given, executor="reference"))
    assert tensors[0] is layer.cells[0].others["all"][0][0]


class Detached(sn.Cell):
    """A recurrent product of what carries no gradient."""

    node_gates = ("u",)

    def forward(self, z, h):
        (u,), () = self.gates(z, h.detach())
        return u.tanh()


@every_plan
def test_a_weight_learns_from_states_through_which_no_gradient_flows(kind):
    layer, plans, x, initial = layer_of(kind, Detached)
    given = layer, plans, x, initial, [x, *layer.parameters()]
    assert_same(gradients(*given), gradients(*given, executor="reference"))


MADE = {
    "pruned": lambda cell: prune.random_unstructured(cell, "recurrent", amount=0.4),
    "pruned input": lambda cell: prune.random_unstructured(cell.input, "weight", amount=0.4),
    "weight norm": lambda cell: parametrizations.weight_norm(cell, "recurrent"),
    "weight norm by hooks": lambda cell: nn.utils.weight_norm(cell, "recurrent"),
    "parametrised input": lambda cell: parametrizations.weight_norm(cell.input),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("save", ["gates", "windows"])
@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("cell", ["lstm", "mut1"])
def test_hooks_compute_weights_anew_at_every_step_of_training(cell, made, save):
    """What they computed last is still in its place, its graph freed by then."""
    layer, plans, x, _ = layer_of("chain", cell, save=save)
    MADE[made](layer.cells[0])
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        layer(x, plans).square().sum().backward()
        found = [one.grad.clone() for one in layer.parameters()]
        optimizer.zero_grad()
        layer.save = "gates"
        layer(x, plans, executor="reference").square().sum().backward()
        layer.save = save
        assert_same(found, [one.grad for one in layer.parameters()])
        optimizer.step()


@pytest.mark.parametrize("save", ["gates", "windows"])
def test_a_cached_parametrization_is_computed_once(save):
    layer, plans, x, _ = layer_of("tree", "lstm", save=save)
    parametrizations.weight_norm(layer.cells[0], "recurrent")
    given = layer, plans, x, None, [x, *layer.parameters()]
    layer.save = "gates"
    expected = gradients(*given, executor="reference")
    layer.save = save
    with parametrize.cached():
        assert_same(gradients(*given), expected)
    assert_same(gradients(*given), expected)
