"""Batched, and scan where it runs, equal reference; the batched executor's own backward."""

import gc
import weakref

import networkx as nx
import numpy as np
import pytest
import torch
from conftest import (
    SEEDS,
    Products,
    assert_same,
    batches,
    create_cells,
    dags,
    every_cell,
    every_kind,
    every_topology,
    everything,
    features,
    graphs_of,
    initial_states,
    pairs,
    random_tree,
    randomise,
    recurrence,
    scans,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrizations

import structnet as sn
from structnet.execute.batched import BatchedSweep


class Pooling(sn.Cell):
    """Plain PyTorch beside the gates; `recurrent` is used through the gates and directly."""

    node_gates = ("g",)
    edge_gates = ("f",)

    def __init__(self, input_size, hidden_size, arity):
        super().__init__(input_size, hidden_size, arity)
        self.mix = nn.Linear(2 * hidden_size, hidden_size)
        self.scale = nn.Parameter(torch.ones(hidden_size))

    def forward(self, z, h, c):
        (g,), (f,) = self.gates(z, h)
        pooled = self.mix(torch.cat([h.mean(1), h.amax(1)], dim=1))
        direct = h[:, 0] @ self.recurrent[: self.hidden_size, : self.hidden_size]
        c = g.tanh() * self.scale + (f.sigmoid() * c).sum(1)
        return (c + pooled + direct).tanh(), c


class TwoSizes(sn.Cell):
    """A state of size H and a count of another size, which the output reads."""

    node_gates = ("g",)

    def __init__(self, input_size, hidden_size, arity):
        super().__init__(input_size, hidden_size, arity)
        self.narrow = nn.Linear(hidden_size, 3)
        self.widen = nn.Linear(3, hidden_size, bias=False)

    @property
    def state_sizes(self):
        return self.hidden_size, 3

    def forward(self, z, h, s):
        (g,), () = self.gates(z, h)
        h = (g + self.widen(s.sum(1))).tanh()
        return h, self.narrow(h) + s.mean(1)


class Unread(sn.Cell):
    """A second state that nobody reads."""

    node_gates = ("g",)

    def forward(self, z, h, unread):
        (g,), () = self.gates(z, h)
        return g.tanh(), 2 * g


class Counting(sn.Cell):
    """A second state without gradient: the depth."""

    node_gates = ("g",)

    @property
    def state_sizes(self):
        return self.hidden_size, 1

    def forward(self, z, h, depth):
        (g,), () = self.gates(z, h)
        return g.tanh() + depth.sum(1), (depth.amax(1) + 1).detach()


class Passing(sn.Cell):
    """A second state that is what came in."""

    node_gates = ("g",)

    def forward(self, z, h, before):
        (g,), () = self.gates(z, h)
        return g.tanh() + before.mean(1), h[:, -1]


class Gateless(sn.Cell):
    """No gates: input and predecessors go through layers of its own."""

    def __init__(self, input_size, hidden_size, arity):
        super().__init__(input_size, hidden_size, arity)
        self.widen = nn.Linear(input_size, hidden_size)
        self.back = nn.Linear(hidden_size, hidden_size, bias=False)

    def project(self, x):
        return self.widen(x)

    def forward(self, z, h):
        return (z + self.back(h.sum(1))).tanh()


class PlainModule(nn.Module):
    """All that a cell needs to be, without the base class."""

    def __init__(self, input_size, hidden_size, arity):
        super().__init__()
        self.state_sizes = (hidden_size,)
        self.project = nn.Linear(input_size, hidden_size)
        self.back = nn.GRUCell(hidden_size, hidden_size)

    def forward(self, z, h):
        return self.back(z, h.mean(1))


CUSTOM = pytest.mark.parametrize(
    "cell",
    [Pooling, TwoSizes, Unread, Counting, Passing, Gateless, PlainModule],
)


def assert_batched_is_reference(layer, plans, tolerance=1e-12, dtype=torch.float64):
    x, initial = features(plans, dtype=dtype), initial_states(layer, plans, dtype=dtype)
    # In single precision the ratio of two random memories would be ill-conditioned.
    single = dtype == torch.float32 or initial is None
    for start in (None,) if single else (None, initial):
        reference = everything(layer, x, plans, start, "reference")
        assert_same(everything(layer, x, plans, start, "batched"), reference, tolerance)
        if all(map(scans, layer.cells, plans)):
            assert_same(everything(layer, x, plans, start, "scan"), reference, tolerance)


@pairs("cell", create_cells())
@settings(max_examples=4)
@given(data=st.data(), seed=SEEDS)
def test_batched_is_the_reference_in_outputs_states_and_gradients(topology, cell, data, seed):
    layer = recurrence(topology, cell, seed=seed)
    assert_batched_is_reference(layer, topology.plan(data.draw(batches(topology))))


@every_kind
@every_cell
@settings(max_examples=2)
@given(data=st.data(), seed=SEEDS)
def test_batched_is_the_reference_in_single_precision(topology, cell, data, seed):
    # Layer norm over two units would be ill-conditioned, and so would large tensors of the RNTN.
    layer = recurrence(topology, cell, hidden_size=8, dtype=torch.float32)
    randomise(layer, seed, scale=0.3)
    plans = topology.plan(data.draw(batches(topology)))
    assert_batched_is_reference(layer, plans, 1e-5, torch.float32)


@every_topology
@CUSTOM
@settings(max_examples=4)
@given(data=st.data(), seed=SEEDS)
def test_a_cell_in_plain_pytorch_runs_batched(topology, cell, data, seed):
    layer = recurrence(topology, cell, seed=seed)
    assert_batched_is_reference(layer, topology.plan(data.draw(batches(topology))))


@every_kind
@every_cell
def test_an_empty_batch_runs(topology, cell):
    layer, plans = recurrence(topology, cell), topology.plan([])
    x = features(plans)
    assert layer(x, plans, executor="reference").shape == (0, layer.output_size)
    h = layer(x, plans)
    assert h.shape == (0, layer.output_size)
    h.sum().backward()
    assert x.grad.shape == (0, 3)


@pairs("cell", sn.cells.names())
@settings(max_examples=4)
@given(data=st.data(), seed=SEEDS)
def test_a_node_sees_its_ancestors_and_nothing_else(topology, cell, data, seed):
    structures = data.draw(batches(topology, max_samples=2))
    plans = topology.plan(structures)
    # Units of a relu may all be dead.
    options = {"nonlinearity": "tanh"} if cell == "indrnn" else {}
    layer, x = recurrence(topology, cell, seed=seed, **options), features(plans)
    parts = layer(x, plans).chunk(len(topology.directions), dim=1)
    for h, graph in zip(parts, graphs_of(topology, structures), strict=True):
        for node in range(plans[0].num_nodes):
            (grad,) = torch.autograd.grad(h[node].sum(), x, retain_graph=True)
            seen = set(grad.abs().sum(1).nonzero()[:, 0].tolist())
            assert seen == nx.ancestors(graph, node) | {node}


@pytest.fixture
def small():
    """A Tree-LSTM on two trees, one of a single node: layer, plans, x."""
    topology = sn.topologies.create("tree")
    plans = topology.plan([[[1, 2], [-1, 3], [-1, -1], [-1, -1]], [[-1, -1]]])
    return recurrence(topology, "lstm"), plans, features(plans)


@every_cell
@pytest.mark.parametrize("name", ["bichain", "any_dag"])
def test_gradients_are_those_of_finite_differences(name, cell):
    topology = sn.topologies.create(name)
    structures = {"bichain": [3, 1], "any_dag": [[[], [0], [0, 1]], [[]]]}[name]
    plans = topology.plan(structures)
    layer, x = recurrence(topology, cell), features(plans)
    parameters, initial = tuple(layer.parameters()), initial_states(layer, plans) or ()

    def run(x, *others):
        given = others[len(parameters) :] or None
        return layer(x, plans, initial=given, return_states=True)[1]

    assert torch.autograd.gradcheck(run, (x, *parameters, *initial))


def test_a_retained_graph_gives_the_same_gradients_again(small):
    layer, plans, x = small
    loss = layer(x, plans).square().sum()
    inputs = (x, *layer.parameters())
    first = torch.autograd.grad(loss, inputs, retain_graph=True)
    second = torch.autograd.grad(loss, inputs)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_second_backward_through_a_released_graph_is_refused(small):
    layer, plans, x = small
    h = layer(x, plans)
    h.sum().backward()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        h.square().sum().backward()


def test_create_graph_gives_the_right_first_derivatives(small):
    layer, plans, x = small
    inputs = (x, *layer.parameters())
    loss = layer(x, plans).square().sum()
    first = torch.autograd.grad(loss, inputs, retain_graph=True)
    again = torch.autograd.grad(loss, inputs, create_graph=True)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("allow_unused", [False, True])
@pytest.mark.parametrize("of", ["x", "weights", "initial"])
def test_second_derivatives_are_refused_not_silently_wrong(of, allow_unused):
    topology = sn.topologies.create("chain")
    plans = topology.plan([3, 2])
    layer, x = recurrence(topology, "lstm", executor="batched"), features(plans)
    initial = initial_states(layer, plans)
    inputs = {"x": [x], "weights": list(layer.parameters()), "initial": initial}
    loss = layer(x, plans, initial=initial).square().sum()
    grads = torch.autograd.grad(loss, inputs[of], create_graph=True)
    penalty = sum(grad.square().sum() for grad in grads)
    for again in inputs.values():
        with pytest.raises(RuntimeError, match=r"no second derivatives.*executor='reference'"):
            torch.autograd.grad(penalty, again, retain_graph=True, allow_unused=allow_unused)


def test_second_derivatives_of_a_loss_linear_in_the_states_are_refused(small):
    layer, plans, x = small
    (grad,) = torch.autograd.grad(layer(x, plans).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivatives"):
        torch.autograd.grad(grad.sum(), list(layer.parameters()), allow_unused=True)


def test_the_reference_has_second_derivatives(small):
    layer, plans, x = small
    assert torch.autograd.gradgradcheck(lambda x: layer(x, plans, executor="reference"), (x,))


def deep_chain(levels, cell="elman"):
    topology = sn.topologies.create("chain")
    layer = recurrence(topology, cell, input_size=3, hidden_size=5, executor="batched")
    plans = topology.plan([levels, 2])
    return layer, plans, features(plans)


@pytest.mark.parametrize("cell", ["elman", "gru", "lstm"])
def test_level_0_runs_no_recurrent_product_and_the_input_product_runs_once(cell):
    layer, plans, x = deep_chain(6, cell)
    with Products() as forward:
        layer(x, plans)
    assert forward.shapes[0][:2] == (8, 3)
    assert [rows for rows, inner, _ in forward.shapes[1:] if inner == 5] == [2, 1, 1, 1, 1]
    assert len(forward) == 6


@pytest.mark.parametrize("cell", ["elman", "gru", "lstm"])
def test_backward_has_one_weight_product_and_one_product_per_level_that_has_predecessors(cell):
    layer, plans, x = deep_chain(6, cell)
    loss = layer(x, plans).sum()
    with Products() as backward:
        loss.backward()
    # Rows of the product: hidden or input size for weights, nodes for what is handed back.
    weights = [shape for shape in backward.shapes if shape[1] in (6, 8)]
    assert len(weights) == 2, "one product for the recurrent weights, one for the input's"
    assert len(backward) == len(weights) + 1 + 5


def test_products_grow_by_one_a_level_each_way():
    counts = []
    for levels in (4, 5, 9):
        layer, plans, x = deep_chain(levels)
        with Products() as forward:
            loss = layer(x, plans).sum()
        with Products() as backward:
            loss.backward()
        counts.append((len(forward) - levels, len(backward) - levels))
    assert len(set(counts)) == 1


def test_an_unordered_cell_has_one_weight_product_a_weight():
    topology = sn.topologies.create("any_dag")
    plans = topology.plan([[[], [], [0, 1], [2], [2, 3, 0], [4], []]])
    layer, x = recurrence(topology, "lstm", hidden_size=5), features(plans)
    loss = layer(x, plans).sum()
    with Products() as backward:
        loss.backward()
    # 4 nodes with predecessors read 7 nodes: one product for node gates, one for edge gates.
    assert sorted(shape for shape in backward.shapes if shape[0] == 5) == [(5, 4, 15), (5, 7, 5)]


@every_kind
@every_cell
def test_bf16_autocast_stays_close_and_keeps_the_states_in_float32(topology, cell):
    structures = {
        "sequence": [7, 3],
        "tree": [random_tree(9, np.random.default_rng(0)), [[-1, -1]]],
        "dag": [[[], [0], [0, 1], [2]]],
        "grid": [(2, 3)],
        "undirected": [sn.Edges([[0, 1, 1, 2, 2, 0], [1, 0, 2, 1, 0, 2]], 4)],
    }[topology.takes]
    plans = topology.plan(structures)
    layer = recurrence(topology, cell, 8, 16, dtype=torch.float32)
    randomise(layer, scale=0.1)
    x = features(plans, 8, dtype=torch.float32)
    # Not of the states: which of two gates is larger, and so a stabiliser's gradient, may change.
    exact = everything(layer, x, plans, output_alone=True)
    with torch.autocast("cpu", torch.bfloat16):
        rough = everything(layer, x, plans, output_alone=True)
    assert all(value.dtype == torch.float32 for value in rough.values())
    _, options = cell
    if options.get("nonlinearity") == "relu" or options.get("positive"):
        # A gradient jumps where rounding crosses the kink.
        exact = {key: value for key, value in exact.items() if not key.startswith("gradient")}
        rough = {key: rough[key] for key in exact}
    assert_same(rough, exact, 2e-2)


@pytest.mark.parametrize("frozen", ["input", "recurrent", ""])
@pytest.mark.parametrize("name", ["tree", "bichain"])
def test_frozen_parameters_get_no_gradient_and_the_others_the_same(name, frozen):
    topology = sn.topologies.create(name)
    structures = {"tree": [random_tree(6, np.random.default_rng(1))], "bichain": [4, 1]}[name]
    plans = topology.plan(structures)
    layer, x = recurrence(topology, "gru"), features(plans)
    full = everything(layer, x, plans)
    for parameter_name, parameter in layer.named_parameters():
        parameter.requires_grad_(frozen not in parameter_name)
    found = everything(layer, x, plans)
    assert not any(frozen in name for name in found if frozen and "gradient" in name)
    assert "gradient of x" in found
    assert_same(found, {name: full[name] for name in found})


def test_an_input_without_gradient_leaves_the_weights_theirs(small):
    layer, plans, x = small
    full = everything(layer, x, plans)
    found = everything(layer, x.detach(), plans)
    assert "gradient of x" not in found
    assert_same(found, {name: full[name] for name in found})


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("executor", ["batched", "reference"])
def test_outputs_without_gradients_are_the_same(small, mode, executor):
    layer, plans, x = small
    h = layer(x, plans)
    with mode():
        found = layer(x, plans, executor=executor)
    assert not found.requires_grad
    assert_same(found, h.detach())


@pytest.mark.parametrize("name", ["chain", "tree"])
def test_a_plan_made_in_inference_mode_trains(name):
    topology = sn.topologies.create(name)
    structure = {"chain": 3, "tree": [[1, 2], [-1, -1], [-1, -1]]}[name]
    # A validation epoch under inference mode fills the cache that training reads.
    with torch.inference_mode():
        topology.plan([structure])
    plans = topology.plan([structure])
    recurrence(topology, "lstm")(features(plans), plans).sum().backward()


@pytest.mark.parametrize("weight", ["recurrent", "input.weight"])
def test_a_reparametrised_weight_gets_its_gradients(small, weight):
    layer, plans, x = small
    cell = layer.cells[0]
    module, name = (cell, weight) if weight == "recurrent" else (cell.input, "weight")
    parametrizations.weight_norm(module, name)
    randomise(layer)
    assert_same(everything(layer, x, plans), everything(layer, x, plans, executor="reference"))


def test_a_graph_nobody_needs_is_released_at_once(small, monkeypatch):
    layer, plans, x = small
    sweeps = []
    original = BatchedSweep.__init__

    def remember(self, *args, **kwargs):
        original(self, *args, **kwargs)
        sweeps.append(weakref.ref(self))

    monkeypatch.setattr(BatchedSweep, "__init__", remember)
    gc.disable()
    try:
        h = layer(x, plans)
        assert sweeps[0]() is not None
        del h
        assert sweeps[0]() is None
    finally:
        gc.enable()


def test_two_recurrences_may_share_one_plan_and_one_graph(small):
    layer, plans, x = small
    loss = (layer(x, plans) * layer(2 * x, plans)).sum()
    reference = layer(x, plans, executor="reference") * layer(2 * x, plans, executor="reference")
    inputs = (x, *layer.parameters())
    for found, expected in zip(
        torch.autograd.grad(loss, inputs),
        torch.autograd.grad(reference.sum(), inputs),
        strict=True,
    ):
        assert_same(found, expected)


@given(before=dags(max_nodes=12), seed=SEEDS)
def test_any_in_degree_equals_a_loop_over_the_nodes(before, seed):
    topology = sn.topologies.create("any_dag")
    plans = topology.plan([before])
    layer, x = recurrence(topology, "elman", seed=seed), features(plans)
    cell, h = layer.cells[0], {}
    while len(h) < len(before):
        for node, some in enumerate(before):
            if node not in h and all(one in h for one in some):
                total = sum((h[one] for one in some), torch.zeros(2, dtype=x.dtype))
                h[node] = (cell.input(x[node]) + total @ cell.recurrent).tanh()
    assert_same(layer(x, plans), torch.stack([h[node] for node in range(len(before))]))


@pytest.mark.parametrize("levels", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_a_chain_shaped_tree_of_many_levels_runs_forward_and_backward(levels):
    children = np.stack([np.arange(1, levels + 1), np.full(levels, -1)], axis=1)
    children[-1] = -1
    topology = sn.topologies.create("tree")
    plans = topology.plan([children])
    assert plans[0].level_sizes == (1,) * levels
    layer = recurrence(topology, "elman", 1, 2)
    with torch.no_grad():
        # An orthogonal recurrence and no bias: the gradient lives from end to end.
        layer.cells[0].recurrent.copy_(torch.eye(2).repeat(2, 1))
        layer.cells[0].input.bias.zero_()
    x = torch.zeros(levels, 1, dtype=torch.float64, requires_grad=True)
    h = layer(x, plans)
    h[0].sum().backward()
    assert_same(x.grad, layer.cells[0].input.weight.sum().expand(levels, 1))


@pytest.mark.parametrize("executor", ["batched", "compiled"])
@pytest.mark.parametrize("name", ["tree", "any_dag"])
def test_results_are_the_same_bits_from_run_to_run(traced, name, executor):
    topology = sn.topologies.create(name)
    structure = {"tree": random_tree(50, np.random.default_rng(0)),
                 "any_dag": [[], [0], [0, 1], [0, 1, 2], [0, 2, 3]]}[name]  # fmt: skip
    plans = topology.plan([structure] * 3)
    layer = recurrence(topology, "lstm", 8, 16, dtype=torch.float32)
    x = features(plans, 8, dtype=torch.float32)
    torch.use_deterministic_algorithms(True)
    try:
        first, again = (everything(layer, x, plans, executor=executor) for _ in range(2))
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(again[key], value) for key, value in first.items())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("executor", ["batched", "compiled", "fused", "replayed"])
@pytest.mark.parametrize("name", ["tree", "any_dag", "chain"])
def test_no_level_waits_for_the_gpu(name, executor):
    topology = sn.topologies.create(name)
    structure = {"tree": random_tree(20, np.random.default_rng(0)),
                 "any_dag": [[], [0], [0, 1]], "chain": 5}[name]  # fmt: skip
    plans = tuple(plan.to("cuda") for plan in topology.plan([structure]))
    layer = recurrence(topology, "lstm", dtype=torch.float32).to("cuda")
    x = features(plans, dtype=torch.float32).detach().to("cuda").requires_grad_()
    # What repeats is recorded the second time.
    for _ in range(2):
        layer(x, plans, executor=executor).sum().backward()
    torch.cuda.set_sync_debug_mode("error")
    try:
        layer(x, plans, executor=executor).sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
