"""One layer: node order in, node order out, a cell of its own in every direction."""

import functools

import pytest
import torch
from conftest import assert_same, features, initial_states, recurrence

import structnet as sn
from structnet.cell.library.lstm import LSTM


def test_directions_stand_side_by_side_each_with_a_cell_of_its_own():
    both = sn.topologies.create("tree", direction="both")
    layer = recurrence(both, "lstm")
    structures = [[[1, 2], [-1, -1], [-1, 3], [-1, -1]], [[-1, -1]]]
    plans = both.plan(structures)
    x = features(plans)
    h, states = layer(x, plans, return_states=True)
    assert h is states[0] and layer.output_size == 4
    for direction, one in enumerate(("up", "down")):
        topology = sn.topologies.create("tree", direction=one)
        single = recurrence(topology, "lstm")
        single.cells[0] = layer.cells[direction]
        _, alone = single(x, topology.plan(structures), return_states=True)
        for state, expected in zip(states, alone, strict=True):
            assert_same(state.chunk(2, dim=1)[direction].detach(), expected.detach())


@pytest.mark.parametrize("executor", ["reference", "batched", "compiled"])
def test_in_turn_a_direction_reads_what_the_one_before_returned(executor):
    topology = sn.topologies.create("tree", direction="in_turn")
    layer = recurrence(topology, "lstm", executor=executor)
    structures = [[[1, 2], [-1, -1], [-1, 3], [-1, -1]], [[-1, -1]], [[1, -1], [-1, -1]]]
    plans = topology.plan(structures)
    x = features(plans)
    h, states = layer(x, plans, return_states=True)
    assert h is states[0] and layer.output_size == 4 and layer.input_sizes == [3, 5]
    up = sn.Recurrence("tree", "lstm", 3, 2, executor="reference").double()
    down_topology = sn.topologies.create("tree", direction="down")
    down = sn.Recurrence(down_topology, "lstm", 5, 2, executor="reference").double()
    up.cells[0], down.cells[0] = layer.cells
    first, one = up(x, plans[:1], return_states=True)
    second, other = down(torch.cat([x, first], dim=1), plans[1:], return_states=True)
    expected = torch.cat([first, second], dim=1)
    assert_same(h.detach(), expected.detach())
    for state, *parts in zip(states, one, other, strict=True):
        assert_same(state.detach(), torch.cat(parts, dim=1).detach())
    probe = torch.randn_like(h)
    weights = [x, *layer.parameters()]
    for found, wanted in zip(
        torch.autograd.grad((h * probe).sum(), weights),
        torch.autograd.grad((expected * probe).sum(), weights),
        strict=True,
    ):
        assert_same(found, wanted)
    with pytest.raises(ValueError, match="leave it out"):
        sizes = sn.Sizes(None, 3, 2)
        sn.nets.create("stack", sizes, topology, "lstm", "every", hidden_size=2, apart=True)


def test_a_sample_gets_the_same_numbers_alone_and_in_a_batch():
    topology = sn.topologies.create("bichain")
    layer, lengths = recurrence(topology, "gru"), [3, 1, 5]
    plans = topology.plan(lengths)
    x = features(plans)
    h = layer(x, plans)
    for part, one, length in zip(x.split(lengths), h.split(lengths), lengths, strict=True):
        assert_same(layer(part, topology.plan([length])).detach(), one.detach())


def test_final_states_carry_a_sequence_on():
    topology = sn.topologies.create("chain")
    layer = recurrence(topology, "lstm")
    whole, first, rest = (topology.plan([length]) for length in (7, 4, 3))
    x = features(whole)
    h, states = layer(x[:4], first, return_states=True)
    carried = layer(x[4:], rest, initial=[state[-1:] for state in states])
    assert_same(torch.cat([h, carried]).detach(), layer(x, whole).detach())


def test_initial_states_of_zeros_are_those_of_none():
    topology = sn.topologies.create("bichain")
    layer, plans = recurrence(topology, "lstm"), topology.plan([2, 4])
    x = features(plans)
    zeros = [torch.zeros_like(state) for state in initial_states(layer, plans)]
    assert_same(layer(x, plans, initial=zeros).detach(), layer(x, plans).detach())


def test_names_and_objects_make_the_same_layer():
    topology = sn.topologies.create("chain")
    relu = functools.partial(sn.cells.create, "elman", nonlinearity="relu")
    by_name = sn.Recurrence("chain", "elman", 3, 2, nonlinearity="relu")
    by_object = sn.Recurrence(topology, relu, 3, 2)
    by_object.load_state_dict(by_name.state_dict())
    x, plans = torch.randn(5, 3), topology.plan([4, 1])
    assert by_name(x, plans).equal(by_object(x, plans))


def test_the_executor_is_chosen_when_made_or_when_called():
    topology = sn.topologies.create("tree")
    plans = topology.plan([[[1, -1], [-1, -1]]])
    layer = sn.Recurrence(topology, "lstm", 3, 2, executor="reference").double()
    x = features(plans)
    (grad,) = torch.autograd.grad(layer(x, plans).sum(), x, create_graph=True)
    torch.autograd.grad(grad.sum(), x)
    batched = layer(x, plans, executor="batched")
    assert_same(batched.detach(), layer(x, plans).detach())


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (("chian", "lstm"), {}, KeyError, "no topology 'chian' among .* did you mean 'chain'"),
        (("chain", "lstmm"), {}, KeyError, "no cell 'lstmm' among .* did you mean 'lstm'"),
        (("chain", "lstm"), {"executor": "batchd"}, ValueError, "did you mean 'batched'"),
        (("chain", "lstm"), {"bias": 1}, ValueError, "no option 'bias' of cell 'lstm'"),
        (("chain", LSTM), {"forget_bias": 1}, ValueError, "cell given by name"),
    ],
)
def test_a_layer_that_cannot_be_made_says_why(arguments, options, error, message):
    with pytest.raises(error, match=message):
        sn.Recurrence(*arguments, 3, 2, **options)


def test_inputs_that_do_not_fit_the_plans_are_refused():
    chain, bichain = sn.topologies.create("chain"), sn.topologies.create("bichain")
    layer = recurrence(chain, "lstm")
    plans = chain.plan([2, 3])
    x = features(plans)
    with pytest.raises(ValueError, match=r"\(5, 3\), got \(4, 3\)"):
        layer(x[:4], plans)
    with pytest.raises(ValueError, match=r"\(5, 3\), got \(5, 2\)"):
        layer(x[:, :2], plans)
    with pytest.raises(ValueError, match="2 plans for 1 directions"):
        layer(x, bichain.plan([2, 3]))
    with pytest.raises(ValueError, match="no executor 'scna'"):
        layer(x, plans, executor="scna")
    h0 = torch.zeros(2, 2, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"initial states are of shapes .*\(2, 2\)\], got"):
        layer(x, plans, initial=[h0])
    with pytest.raises(ValueError, match="initial states are of shapes"):
        layer(x, plans, initial=[h0, h0[:1]])


class Misdeclared(sn.Cell):
    """Gives what `give` says, and declares one state."""

    node_gates = ("u",)

    def forward(self, z, h):
        return self.give(z)


@pytest.mark.parametrize("executor", ["batched", "reference"])
@pytest.mark.parametrize(
    ("give", "message"),
    [
        (lambda z: None, "Misdeclared has to return a tensor or a tuple of tensors, got None"),
        (lambda z: (z, z), r"Misdeclared returned states of shapes \[.*, expected \["),
        (lambda z: z[:, :1], r"Misdeclared returned states of shapes \[\([13], 1\)\]"),
        (lambda z: z.unsqueeze(1), "Misdeclared returned states of shapes"),
    ],
)
def test_a_cell_that_gives_other_states_than_it_declares_is_named(executor, give, message):
    layer = sn.Recurrence("chain", Misdeclared, 3, 2, executor=executor)
    layer.cells[0].give = give
    with pytest.raises(ValueError, match=message):
        layer(torch.randn(3, 3), sn.topologies.create("chain").plan([1, 1, 1]))


def test_what_is_no_cell_a_single_plan_and_scan_of_another_cell_are_refused():
    with pytest.raises(ValueError, match="a cell has `project`, GRUCell has none"):
        sn.Recurrence("chain", lambda i, h, a: torch.nn.GRUCell(i, h), 3, 2)
    with pytest.raises(ValueError, match="'scan' runs linear cells on chains, and LSTM"):
        sn.Recurrence("chain", "lstm", 3, 2, executor="scan")
    with pytest.raises(ValueError, match="got a single Plan"):
        sn.Recurrence("chain", "lstm", 3, 2)(torch.randn(1, 3), sn.schedule([[-1]]))


@pytest.mark.parametrize("executor", ["batched", "reference", "scan"])
@pytest.mark.parametrize("give", [lambda z: (z, z), lambda z: (z.unsqueeze(1), z[:, :1])])
def test_coefficients_of_another_shape_are_refused(executor, give):
    class Flat(sn.LinearCell):
        node_gates = ("b",)

        def coefficients(self, z, slots):
            return give(z)

    layer = sn.Recurrence("chain", Flat, 3, 2, executor=executor)
    with pytest.raises(ValueError, match="coefficients of Flat are a"):
        layer(torch.randn(4, 3), sn.topologies.create("chain").plan([3, 1]))


@pytest.mark.filterwarnings("ignore")
def test_a_compiled_model_runs_the_sweep_as_it_is():
    layer = sn.Recurrence("chain", "lstm", 3, 2)
    plans = sn.topologies.create("chain").plan([3, 1])
    x = torch.randn(4, 3, requires_grad=True)
    model = torch.compile(lambda x: layer(x, plans).sum(), backend="eager")
    assert torch.allclose(model(x), layer(x, plans).sum())
    model(x).backward()


def test_a_missing_choice_and_a_bare_initial_state_are_refused():
    with pytest.raises(ValueError, match="no executor None among"):
        sn.Recurrence("chain", "gru", 3, 4, executor=None)
    layer = sn.Recurrence("chain", "gru", 3, 4)
    plans = sn.topologies.create("chain").plan([2])
    with pytest.raises(ValueError, match=r"a sequence of tensors .*got one tensor"):
        layer(torch.zeros(2, 3), plans, initial=torch.zeros(1, 4))
