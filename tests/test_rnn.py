"""sn.RNN is called as torch.nn.LSTM is, and computes the same where torch can."""

import copy
import io

import pytest
import torch
from conftest import assert_same, every_cell, randomise
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence, pad_packed_sequence, pad_sequence

import structnet as sn
from structnet.data.sequences import read_sequences
from structnet.nn import rnn_pass

# What torch has, with the options of its modules.
TORCH = {
    "lstm": (nn.LSTM, {}),
    "projected": (nn.LSTM, {"proj_size": 2}),
    "gru": (nn.GRU, {}),
    "tanh": (nn.RNN, {}),
    "relu": (nn.RNN, {"nonlinearity": "relu"}),
}
# The same with our options.
OURS = {
    "lstm": ("lstm", {}),
    "projected": ("lstm", {"projection_size": 2}),
    "gru": ("gru", {"reset": "after"}),
    "tanh": ("elman", {}),
    "relu": ("elman", {"nonlinearity": "relu"}),
}
LENGTHS = [2, 5, 1, 5]
pytestmark = [
    # torch says so of its own module.
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported:UserWarning"),
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning"),
]
every_kind = pytest.mark.parametrize("kind", TORCH)
both_ways = pytest.mark.parametrize("bidirectional", [False, True])


def torch_module(kind, num_layers=2, dtype=torch.float64, **options):
    module, own = TORCH[kind]
    return randomise(module(3, 4, num_layers, **own, **options).to(dtype))


def our_rnn(kind, num_layers=2, dtype=torch.float64, **options):
    cell, own = OURS[kind]
    return randomise(sn.RNN(cell, 3, 4, num_layers, **own, **options).to(dtype), seed=9)


def samples(size=3, lengths=LENGTHS, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(length, size, generator=generator).double() for length in lengths]


def as_tuple(states):
    return (states,) if isinstance(states, torch.Tensor) else tuple(states)


def start_for(rnn, *batch):
    """Random initial states in torch's form."""
    rows = rnn.num_layers * (1 + rnn.bidirectional)
    sizes = rnn.layers[0].cells[0].state_sizes
    states = [torch.randn(rows, *batch, size).double().requires_grad_() for size in sizes]
    return tuple(states) if len(states) > 1 else states[0]


def tensors_of(output, states):
    """Every number of a result; the output of a packed one as its data."""
    output = output.data if isinstance(output, PackedSequence) else output
    return {"output": output, **{f"state {i}": state for i, state in enumerate(as_tuple(states))}}


def assert_all_same(found, expected, tolerance=1e-12):
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other, tolerance)


FORMS = {
    "padded": (False, lambda: torch.stack(samples(lengths=[5] * 3), 1)),
    "batch first": (True, lambda: torch.stack(samples(lengths=[5] * 3))),
    "unbatched": (False, lambda: samples()[1]),
    "sorted": (False, lambda: pack_sequence(sorted(samples(), key=len, reverse=True))),
    "unsorted": (True, lambda: pack_sequence(samples(), enforce_sorted=False)),
}


@every_kind
@both_ways
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("with_start", [False, True])
@pytest.mark.parametrize("executor", ["auto", "batched"])
def test_it_computes_what_torch_does(kind, bidirectional, form, with_start, executor):
    batch_first, make = FORMS[form]
    theirs = torch_module(kind, batch_first=batch_first, bidirectional=bidirectional)
    ours = our_rnn(kind, batch_first=batch_first, bidirectional=bidirectional, executor=executor)
    ours.load_torch(theirs)
    x = make()
    count = {"padded": 3, "batch first": 3, "unbatched": None}.get(form, 4)
    start = start_for(ours, *([] if count is None else [count])) if with_start else None
    leaf = (x.data if isinstance(x, PackedSequence) else x).requires_grad_()
    found, expected = tensors_of(*ours(x, start)), tensors_of(*theirs(x, start))
    assert_same(found, expected, 1e-10)
    inputs = [leaf, *(as_tuple(start) if with_start else ())]
    ours_are, theirs_are = (dict(module.named_parameters()) for module in (ours, theirs))
    pull = {name: torch.randn_like(value) for name, value in expected.items()}
    grads = [
        torch.autograd.grad(
            sum((value * pull[name]).sum() for name, value in values.items()),
            [*inputs, *parameters.values()],
        )
        for values, parameters in ((found, ours_are), (expected, theirs_are))
    ]
    assert list(ours_are) == list(theirs_are)
    assert_all_same(grads[0][: len(inputs)], grads[1][: len(inputs)], 1e-10)
    count = len(inputs)
    for name, grad, wanted in zip(ours_are, grads[0][count:], grads[1][count:], strict=True):
        assert_same((name, grad), (name, wanted), 1e-10)


def test_a_packed_sequence_comes_back_in_its_own_order():
    x = pack_sequence(samples(), enforce_sorted=False)
    output, _ = our_rnn("gru")(x)
    for name in ("batch_sizes", "sorted_indices", "unsorted_indices"):
        assert torch.equal(getattr(output, name), getattr(x, name))


@both_ways
@pytest.mark.parametrize("layout", [torch.jagged, torch.strided])
def test_nested_tensors_are_run_and_returned(layout, bidirectional):
    parts = [part.requires_grad_() for part in samples()]
    rnn = our_rnn("lstm", bidirectional=bidirectional)
    x = torch.nested.as_nested_tensor(parts, layout=layout)
    output, states = rnn(x)
    assert output.is_nested and output.layout is layout
    if layout is torch.jagged:
        assert output.shape[:2] == x.shape[:2]
    alone = [rnn(part) for part in parts]
    assert_all_same(output.unbind(), [h for h, _ in alone])
    for state, ones in zip(states, zip(*(one for _, one in alone), strict=True), strict=True):
        assert_same(state, torch.stack(ones, 1), 1e-12)
    found = torch.autograd.grad(sum((h**2).sum() for h in output.unbind()), parts)
    expected = torch.autograd.grad(sum((h**2).sum() for h, _ in alone), parts)
    assert_all_same(found, expected)


def test_a_nested_tensor_with_holes_is_run():
    padded = pad_sequence(samples(), batch_first=True)
    x = torch.nested.narrow(padded, 1, 0, torch.tensor(LENGTHS), layout=torch.jagged)
    rnn = our_rnn("gru")
    output, _ = rnn(x)
    assert_all_same(output.unbind(), [rnn(part)[0] for part in samples()])


@both_ways
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_padding_behind_the_lengths_is_not_computed(kind, batch_first, bidirectional):
    rnn = our_rnn(kind, batch_first=batch_first, bidirectional=bidirectional)
    start = start_for(rnn, len(LENGTHS))
    packed, states = rnn(pack_sequence(samples(), enforce_sorted=False), start)
    expected, _ = pad_packed_sequence(packed, batch_first)
    x = pad_sequence(samples(), batch_first, padding_value=torch.nan).requires_grad_()
    for lengths in (LENGTHS, torch.tensor(LENGTHS), torch.tensor(LENGTHS, dtype=torch.int32)):
        output, found = rnn(x, start, lengths=lengths)
        assert_same(output, expected, 1e-12)
        assert_same(tensors_of(output, found), tensors_of(expected, states), 1e-12)
    (grad,) = torch.autograd.grad(output.sum(), x)
    assert grad.isfinite().all()
    assert not grad[x.isnan()].any()


def test_lengths_may_all_be_less_than_the_steps():
    rnn = our_rnn("lstm")
    x = torch.stack(samples(lengths=[5, 5]), 1)
    output, (h, _) = rnn(x, lengths=[3, 2])
    assert output.shape == (5, 2, 4)
    assert not output[3:].any() and not output[2:, 1].any()
    assert_same(h[-1], torch.stack([output[2, 0], output[1, 1]]))


def test_a_batch_of_no_samples_is_run():
    output, (h, c) = our_rnn("lstm")(torch.zeros(5, 0, 3).double())
    assert output.shape == (5, 0, 4) and h.shape == c.shape == (2, 0, 4)
    output, h = our_rnn("gru", executor="batched")(torch.zeros(5, 0, 3).double(), lengths=[])
    assert output.shape == (5, 0, 4) and h.shape == (2, 0, 4)


@every_kind
@both_ways
def test_torchs_kernel_gives_what_executors_give(kind, bidirectional):
    rnn = our_rnn(kind, bidirectional=bidirectional)
    sequences = read_sequences(pack_sequence(samples(), enforce_sorted=False), None, False)
    start = as_tuple(start_for(rnn, len(LENGTHS)))
    h, states = rnn_pass._run_kernel(rnn, sequences, start)
    expected, expected_states = rnn_pass._run_layers(rnn, sequences, start)
    assert_same(tensors_of(h, states), tensors_of(expected, expected_states), 1e-12)


@pytest.mark.parametrize("kind", ["lstm", "gru", "tanh"])
@pytest.mark.parametrize("biases", [1, 2])
def test_torchs_kernel_is_taken_by_its_name(kind, biases):
    rnn, expected = (
        our_rnn(kind, biases=biases, executor=executor) for executor in ("torch", "batched")
    )
    padded = torch.stack(samples(lengths=[4, 4]), 1)
    for given in (padded, pack_sequence(samples(), enforce_sorted=False)):
        assert_same(tensors_of(*rnn(given)), tensors_of(*expected(given)), 1e-12)
    rnn.layers[0].cells[0].register_forward_hook(lambda *_: None)
    with pytest.raises(
        ValueError, match=r"executor 'torch' runs .* without hooks, .*take executor"
    ):
        rnn(given)


def test_torchs_kernel_is_left_where_something_else_is_asked_for():
    x = torch.zeros(5, 2, 3)
    assert rnn_pass.is_padded_for_kernel(x)
    assert not rnn_pass.is_faster(x, are_equally_long=False)
    for kind in TORCH:
        assert rnn_pass.may_take_kernel(our_rnn(kind))
    for options in ({"executor": "batched"}, {"zoneout": 0.1}, {"weight_drop": 0.1},
                    {"recurrent_dropout": 0.1}, {"truncate": 2}, {"peephole": True},
                    {"forget": 0}, {"layer_norm": True}):  # fmt: skip
        assert not rnn_pass.may_take_kernel(sn.RNN("lstm", 3, 4, **options)), options
    assert rnn_pass.may_take_kernel(sn.RNN("lstm", 3, 4, chrono=9))
    assert not rnn_pass.may_take_kernel(sn.RNN("gru", 3, 4, reset="before"))


# Any cell


def cell_rnn(cell, num_layers=2, **options):
    name, own = cell
    return randomise(sn.RNN(name, 3, 2, num_layers, **own, **options).double(), scale=0.5)


@every_cell
def test_states_carried_from_chunk_to_chunk_give_the_whole(cell):
    rnn = cell_rnn(cell)
    x = torch.stack(samples(lengths=[6, 6, 6]), 1)
    whole, final = rnn(x)
    assert whole.shape == (6, 3, rnn.output_size)
    sizes = rnn.layers[0].cells[0].state_sizes
    assert [state.shape for state in as_tuple(final)] == [(2, 3, size) for size in sizes]
    for size in (1, 4):
        outputs, carried = [], None
        for chunk in x.split(size):
            output, carried = rnn(chunk, carried)
            outputs.append(output)
        assert_same(torch.cat(outputs), whole, 1e-10)
        assert_all_same(as_tuple(carried), as_tuple(final), 1e-10)


@every_cell
def test_both_directions_are_two_runs_side_by_side(cell):
    both = cell_rnn(cell, num_layers=1, bidirectional=True)
    one = cell_rnn(cell, num_layers=1)
    x = torch.stack(samples(lengths=[5, 5]), 1)
    output, states = both(x)
    for direction, part in enumerate(output.chunk(2, 2)):
        weights = both.layers[0].cells[direction].state_dict()
        one.layers[0].cells[0].load_state_dict(weights)
        h, finals = one(x.flip(0) if direction else x)
        assert_same(part, h.flip(0) if direction else h)
        for state, final in zip(as_tuple(states), as_tuple(finals), strict=True):
            assert_same(state[direction], final[0])


def test_a_cell_may_be_an_object():
    def make(input_size, hidden_size, arity):
        return sn.cells.create("mgu", input_size, hidden_size, arity)

    output, h = sn.RNN(make, 3, 4)(torch.zeros(5, 2, 3))
    assert output.shape == (5, 2, 4) and h.shape == (1, 2, 4)
    with pytest.raises(ValueError, match="for a cell given by name"):
        sn.RNN(make, 3, 4, peephole=True)


# Dropout


@pytest.mark.parametrize("executor", ["auto", "batched"])
def test_dropout_acts_between_layers_where_it_trains(executor):
    rnn = our_rnn("lstm", dropout=0.5, executor=executor)
    x = torch.stack(samples(lengths=[5, 5]), 1)
    plain = our_rnn("lstm", executor=executor)
    assert_same(rnn.eval()(x)[0], plain(x)[0], 0)
    rnn.train()
    _, (h, _) = rnn(x)
    assert torch.equal(h[0], plain(x)[1][0][0]), "dropout within the first layer"
    assert rnn(x)[0].count_nonzero() == 40, "dropout after the last layer"
    assert not torch.equal(rnn(x)[0], rnn(x)[0])


def test_all_of_it_dropped_leaves_the_second_layer_its_biases():
    x = torch.stack(samples(lengths=[5, 5]), 1)
    for executor in ("auto", "batched"):
        rnn = our_rnn("lstm", dropout=1.0, executor=executor)
        above = our_rnn("lstm", num_layers=1)
        cell = rnn.layers[1].cells[0]
        with torch.no_grad():
            above.layers[0].cells[0].recurrent.copy_(cell.recurrent)
            above.layers[0].cells[0].hidden_bias.copy_(cell.hidden_bias)
            above.layers[0].cells[0].input.bias.copy_(cell.input.bias)
            above.layers[0].cells[0].input.weight.zero_()
        assert_same(rnn(x)[0], above(x)[0], 1e-12)


def test_dropout_drops_at_its_rate_and_keeps_the_mean():
    rnn = sn.RNN("elman", 1, 1, 2, dropout=0.25, executor="batched", nonlinearity="relu")
    for cell in (rnn.layers[0].cells[0], rnn.layers[1].cells[0]):
        with torch.no_grad():
            cell.recurrent.zero_()
            cell.input.weight.fill_(1.0)
    output, _ = rnn(torch.ones(100, 100, 1))
    assert output.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert output.mean().item() == pytest.approx(1, abs=0.03)


def test_dropout_with_one_layer_warns():
    with pytest.warns(UserWarning, match="acts between layers"):
        sn.RNN("lstm", 3, 4, dropout=0.5)


# Weights


@every_kind
@both_ways
def test_weights_go_to_torch_and_back(kind, bidirectional):
    ours = our_rnn(kind, bidirectional=bidirectional, batch_first=True).eval()
    theirs = ours.to_torch()
    assert type(theirs) is TORCH[kind][0] and not theirs.training and theirs.batch_first
    x = torch.stack(samples(lengths=[5, 5]))
    assert_same(tensors_of(*theirs(x)), tensors_of(*ours(x)), 1e-10)
    back = sn.RNN.from_torch(theirs)
    assert not back.training and back.batch_first and back.bidirectional == bidirectional
    assert_same(dict(back.state_dict()), dict(ours.state_dict()), 0)
    other = our_rnn(kind, bidirectional=bidirectional)
    other.load_torch(ours.torch_state_dict())
    assert_same(dict(other.state_dict()), dict(ours.state_dict()), 0)


@every_kind
def test_a_checkpoint_of_the_model_as_it_was_loads(kind):
    before = nn.ModuleDict({"rnn": torch_module(kind), "head": nn.Linear(4, 1).double()})
    after = nn.ModuleDict({"rnn": our_rnn(kind), "head": nn.Linear(4, 1).double()})
    checkpoint = before.state_dict()
    names = list(checkpoint)
    after.load_state_dict(checkpoint)
    assert list(checkpoint) == names
    x = torch.stack(samples(lengths=[5, 5]), 1)
    assert_same(after["rnn"](x)[0], before["rnn"](x)[0], 1e-10)
    del checkpoint["rnn.weight_hh_l1"]
    with pytest.raises(
        RuntimeError, match=r'Missing key\(s\) in state_dict: "rnn.weight_hh_l1"\. $'
    ):
        after.load_state_dict(checkpoint)


def test_torchs_module_without_biases_gives_zero_biases():
    theirs = torch_module("gru", bias=False)
    x = torch.stack(samples(lengths=[5, 5]), 1)
    for ours in (our_rnn("gru"), our_rnn("gru", biases=1), our_rnn("gru", bias=False)):
        ours.load_torch(theirs)
        assert_same(ours(x)[0], theirs(x)[0], 1e-10)
        assert not any(p.any() for name, p in ours.named_parameters() if "bias" in name)


@pytest.mark.parametrize(
    ("cell", "options"),
    [("lstm", {"peephole": True}), ("lstm", {"coupled": True}), ("gru", {"reset": "before"}),
     ("mgu", {}), ("jordan", {})],
)  # fmt: skip
def test_what_torch_has_no_equal_of_is_refused(cell, options):
    rnn = sn.RNN(cell, 3, 4, **options)
    for call in (rnn.to_torch, rnn.torch_state_dict, lambda: rnn.load_torch(nn.LSTM(3, 4))):
        with pytest.raises(
            ValueError, match=f"torch has no module that computes RNN\\({cell}, 3, 4"
        ):
            call()


def test_weights_of_other_sizes_are_refused():
    rnn = sn.RNN("lstm", 3, 4)
    for module in (nn.LSTM(3, 5), nn.LSTM(3, 4, 2), nn.GRU(3, 4), nn.LSTM(3, 4, proj_size=2),
                   nn.LSTM(3, 4, bidirectional=True), nn.Linear(3, 4)):  # fmt: skip
        with pytest.raises(ValueError, match=r"the weights don't fit RNN\(lstm, 3, 4\)"):
            rnn.load_torch(module)
    with pytest.raises(ValueError, match="nonlinearity is 'tanh' here, 'relu' there"):
        sn.RNN("elman", 3, 4).load_torch(nn.RNN(3, 4, nonlinearity="relu"))
    with pytest.raises(ValueError, match=r"torch.nn.LSTM.*got Linear"):
        sn.RNN.from_torch(nn.Linear(3, 4))


def test_it_is_copied_moved_and_saved():
    rnn = our_rnn("lstm", peephole=True)
    x = torch.stack(samples(lengths=[5, 5]), 1)
    expected = rnn(x)[0]
    file = io.BytesIO()
    torch.save(rnn.state_dict(), file)
    file.seek(0)
    other = sn.RNN("lstm", 3, 4, 2, peephole=True).double()
    other.load_state_dict(torch.load(file, weights_only=True))
    assert_same(other(x)[0], expected, 0)
    twin = copy.deepcopy(our_rnn("lstm"))
    twin.load_state_dict(torch_module("lstm").state_dict())
    assert_same(twin(x)[0], torch_module("lstm")(x)[0], 1e-10)
    assert_same(rnn.float()(x.float())[0], expected.float(), 1e-5)


@pytest.mark.parametrize("kind", ["lstm", "gru", "tanh"])
def test_under_autocast_executors_give_the_weights_type(kind):
    x = torch.stack(samples(lengths=[9, 9]), 1).float()
    expected = our_rnn(kind, dtype=torch.float32)(x)[0]
    rnn = our_rnn(kind, executor="batched").float()
    with torch.autocast("cpu", torch.bfloat16):
        output, states = rnn(x)
        assert {output.dtype, *(state.dtype for state in as_tuple(states))} == {torch.float32}
        assert_same(output, expected, 2e-2)
        output.sum().backward()


def test_batches_of_one_shape_are_planned_once():
    rnn = our_rnn("lstm", executor="batched")
    x = torch.stack(samples(lengths=[5, 5]), 1)
    rnn_pass._plans.cache_clear()
    with torch.inference_mode():
        rnn(x)
    rnn(x)[0].sum().backward()
    rnn(x, lengths=[5, 5])
    info = rnn_pass._plans.cache_info()
    assert (info.misses, info.hits) == (1, 2)


# Errors


@pytest.mark.parametrize(
    ("x", "keywords", "message"),
    [
        (torch.zeros(5, 2, 4), {}, "input_size = 3, got 4"),
        (torch.zeros(5, 4), {}, "input_size = 3, got 4"),
        (torch.zeros(3), {}, r"got shape \(3,\)"),
        (torch.zeros(5, 2, 3, 1), {}, r"got shape \(5, 2, 3, 1\)"),
        (torch.zeros(0, 2, 3), {}, "at least one step"),
        (torch.zeros(0, 3), {}, "at least one step"),
        (torch.zeros(5, 2, 3).double(), {}, r"input.to\(torch.float32\)"),
        (torch.zeros(5, 2, 3), {"lengths": [5]}, r"each of 2 samples, got \[5\]"),
        (torch.zeros(5, 2, 3), {"lengths": [5.0, 2.0]}, "an integer for each"),
        (torch.zeros(5, 2, 3), {"lengths": [5, 0]}, "length of sample 1 is 0"),
        (torch.zeros(5, 2, 3), {"lengths": [6, 5]}, "of sample 0 is 6, .* 1 to the 5 steps"),
        (torch.zeros(5, 3), {"lengths": [5]}, "unbatched input has its own"),
        (pack_sequence([torch.zeros(5, 3)]), {"lengths": [5]}, "PackedSequence has its own"),
        (pack_sequence([torch.zeros(5, 4)]), {}, "input_size = 3, got 4"),
        (pack_sequence([torch.zeros(5, 4, 1)]), {}, r"\(N, I\), got \(5, 4, 1\)"),
        (torch.zeros(5, 2, 3), {"hx": torch.zeros(2, 2, 4)}, r"\(2, 2, 4\), \(2, 2, 4\)\], got"),
        (torch.zeros(5, 2, 3), {"hx": (torch.zeros(2, 4),) * 2}, r"got \[\(2, 4\), \(2, 4\)\]"),
        (torch.zeros(5, 2, 3), {"hx": (torch.zeros(1, 2, 4),) * 2}, r"got \[\(1, 2, 4\)"),
        (torch.zeros(5, 2, 3), {"hx": (torch.zeros(2, 3, 4),) * 2}, r"got \[\(2, 3, 4\)"),
        (torch.zeros(5, 2, 3), {"hx": (torch.zeros(2, 2, 5),) * 2}, r"got \[\(2, 2, 5\)"),
        (torch.zeros(5, 3), {"hx": (torch.zeros(2, 1, 4),) * 2}, r"\(2, 4\)\], got \[\(2, 1, 4\)"),
    ],
)
@pytest.mark.parametrize("executor", ["auto", "batched"])
def test_what_does_not_fit_is_named(x, keywords, message, executor):
    rnn = sn.RNN("lstm", 3, 4, 2, executor=executor)
    with pytest.raises(ValueError, match=message):
        rnn(x, **keywords)


def test_a_nested_tensor_that_does_not_fit_is_named():
    rnn = sn.RNN("lstm", 3, 4)
    for parts, message in (
        ([torch.zeros(2, 3), torch.zeros(0, 3)], "sample 1 has none"),
        ([torch.zeros(2, 4), torch.zeros(1, 4)], "input_size = 3, got 4"),
        ([torch.zeros(2), torch.zeros(1)], r"is \(B, L, I\), got 2 dimensions"),
    ):
        x = torch.nested.nested_tensor(parts, layout=torch.jagged)
        with pytest.raises(ValueError, match=message):
            rnn(x)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_layers": 0}, "num_layers is at least 1, got 0"),
        ({"dropout": 1.5, "num_layers": 2}, "from 0 to 1, got 1.5"),
        ({"dropout": -0.1}, "from 0 to 1, got -0.1"),
        ({"proj_size": 4}, "proj_size is 0 for none, or from 1 to below hidden_size = 4, got 4"),
        ({"proj_size": -1}, "from 1 to below hidden_size = 4, got -1"),
        ({"proj_size": 2, "projection_size": 3}, "two names of one option, got 2 and 3"),
        ({"bias": False, "peephole": True}, "bias=False is for cells that torch has"),
        ({"bias": False, "biases": 2}, "biases=2 needs bias=True"),
        ({"biases": 2, "peephole": True}, "biases=2 is for cells that torch has"),
        ({"biases": 3}, "biases is 1, 2 as torch has them, or None, got 3"),
        ({"executor": "quick"}, "no executor 'quick'"),
    ],
)
def test_an_option_that_does_not_fit_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        sn.RNN("lstm", 3, 4, **options)


def test_sizes_below_one_and_unknown_cells_are_refused():
    with pytest.raises(ValueError, match="input_size is at least 1"):
        sn.RNN("lstm", 0, 4)
    with pytest.raises(ValueError, match="hidden_size is at least 1"):
        sn.RNN("lstm", 3, 0)
    with pytest.raises(KeyError, match="did you mean 'lstm'"):
        sn.RNN("lstmm", 3, 4)


def test_a_model_may_flatten_parameters():
    sn.RNN("lstm", 3, 4).flatten_parameters()
    assert "num_layers=2, bidirectional=True" in repr(sn.RNN("mgu", 3, 4, 2, bidirectional=True))


@pytest.mark.parametrize(
    "other",
    [
        torch.nn.LSTM(5, 7).state_dict(),
        {k: v for k, v in torch.nn.GRU(5, 7).state_dict().items() if k != "bias_hh_l0"},
    ],
    ids=["of another cell", "without one bias"],
)
def test_a_state_dict_that_does_not_fit_is_refused_by_name(other):
    with pytest.raises(RuntimeError, match=r"weight_ih_l0|bias_hh_l0"):
        sn.RNN("gru", 5, 7).load_state_dict(other)


def test_a_projection_as_large_as_the_hidden_size_is_not_torchs():
    rnn = sn.RNN("lstm", 3, 2, projection_size=2).double()
    x = torch.randn(4, 1, 3, dtype=torch.float64)
    h, _ = rnn(x)
    layer = sn.Recurrence("chain", "lstm", 3, 2, projection_size=2).double()
    layer.load_state_dict(rnn.layers[0].state_dict())
    assert_same(h[:, 0].detach(), layer(x[:, 0], layer.topology.plan([4])).detach())
