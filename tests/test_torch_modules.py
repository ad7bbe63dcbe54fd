"""sn.RNN passes what torch's own module suite asks of nn.RNN, nn.GRU and nn.LSTM."""

import copy
import io
import pickle
import warnings

import pytest
import torch
from conftest import assert_same
from torch import nn
from torch.nn.utils.rnn import PackedSequence
from torch_infos import AT_CONSTRUCTION, CELLS, INFOS

import structnet as sn

every_module = pytest.mark.parametrize("info", INFOS, ids=lambda info: info.module_cls.__name__)
both_modes = pytest.mark.parametrize("training", [True, False])
pytestmark = [
    # torch says so of its own module.
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported:UserWarning"),
    pytest.mark.filterwarnings("ignore:The given NumPy array is not writable:UserWarning"),
]


def inputs_of(info, training, dtype=torch.float64, requires_grad=True):
    more = {} if info.module_cls is nn.LSTM else {"with_packed_sequence": True}
    return info.module_inputs_func(
        info, device="cpu", dtype=dtype, requires_grad=requires_grad, training=training, **more
    )


def make(info, given, **options):
    """The module of ours that torch's is replaced by."""
    return sn.RNN(CELLS[info.module_cls], *given.args, **{**given.kwargs, **options})


def make_torch(info, given, **options):
    return info.module_cls(*given.args, **{**given.kwargs, **options})


def pair(info, given, training, dtype=torch.float64):
    theirs = make_torch(info, given, dtype=dtype).train(training)
    ours = make(info, given, dtype=dtype).train(training)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def flat(value):
    """The tensors of what a module was given or gave."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, PackedSequence):
        return [value.data]
    return [tensor for part in value or () for tensor in flat(part)]


def results(module, given):
    """Outputs, states and gradients of inputs and parameters."""
    found = flat(module(*given.args, **given.kwargs))
    generator = torch.Generator().manual_seed(1)
    pull = [torch.randn(one.shape, generator=generator, dtype=one.dtype) for one in found]
    leaves = [leaf for leaf in flat(given.args) if leaf.requires_grad and leaf.is_leaf]
    grads = torch.autograd.grad(found, [*leaves, *module.parameters()], pull)
    return [*found, *grads]


@every_module
@both_modes
def test_outputs_states_and_gradients_are_torchs(info, training):
    for sample in inputs_of(info, training):
        ours, theirs = pair(info, sample.constructor_input, training)
        given = sample.forward_input
        for one, other in zip(results(ours, given), results(theirs, given), strict=True):
            assert_same(one, other, 1e-12)


@every_module
@both_modes
def test_errors_are_of_torchs_types_and_words(info, training):
    for dtype in (torch.float32, torch.float64):
        for error in info.module_error_inputs_func(
            info, device="cpu", dtype=dtype, requires_grad=False, training=training
        ):
            given = error.module_error_input
            if error.error_on is AT_CONSTRUCTION:
                with pytest.raises(error.error_type, match=error.error_regex):
                    make(info, given.constructor_input)
            else:
                module = make(info, given.constructor_input)
                with pytest.raises(error.error_type, match=error.error_regex):
                    module(*given.forward_input.args, **given.forward_input.kwargs)


WRONG = {
    "another number of features": lambda x, hx: (x[..., :-1], hx),
    "four dimensions": lambda x, hx: (x[None, None], hx),
    "one dimension": lambda x, hx: (x.flatten(), hx),
    "states of another size": lambda x, hx: (x, hx[..., :-1]),
    "states of another batch": lambda x, hx: (x, torch.cat([hx, hx], -2)),
    "states of another number of dimensions": lambda x, hx: (x, hx[0]),
    "no steps": lambda x, hx: (x[:, :0], hx),
    "another type": lambda x, hx: (x.float(), hx),
}


@every_module
@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_fit_raises_torchs_type(info, wrong):
    theirs = info.module_cls(3, 4, batch_first=True).double()
    ours = sn.RNN(CELLS[info.module_cls], 3, 4, batch_first=True).double()
    x, h = WRONG[wrong](torch.randn(2, 5, 3).double(), torch.zeros(1, 2, 4).double())
    hx = (h, h) if info.module_cls is nn.LSTM else h
    with pytest.raises(Exception) as expected:
        theirs(x, hx)
    with pytest.raises(expected.type):
        ours(x, hx)


@every_module
@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_made_on_a_device_and_of_a_type(info, device, dtype):
    for sample in inputs_of(info, True)[::3]:
        given = sample.constructor_input
        ours = make(info, given, device=device, dtype=dtype)
        assert {(p.device.type, p.dtype) for p in ours.parameters()} == {(device, dtype)}
        shapes = [(name, p.shape) for name, p in make_torch(info, given).named_parameters()]
        assert [(name, p.shape) for name, p in ours.named_parameters()] == shapes
        with torch.device(device):
            assert next(make(info, given).parameters()).device.type == device
        assert ours.to_empty(device="cpu").load_state_dict(make_torch(info, given).state_dict())


@every_module
def test_it_is_made_without_being_started(info):
    ours = nn.utils.skip_init(sn.RNN, CELLS[info.module_cls], 3, 4, dtype=torch.float64)
    theirs = info.module_cls(3, 4, dtype=torch.float64)
    ours.load_state_dict(theirs.state_dict())
    assert_same(ours.state_dict(), theirs.state_dict(), 0)


@every_module
@both_modes
def test_it_is_pickled_copied_and_saved(info, training, tmp_path):
    for sample in inputs_of(info, training)[::3]:
        ours, _ = pair(info, sample.constructor_input, training)
        expected = results(ours, sample.forward_input)
        torch.save(ours, tmp_path / "module.pt")
        file = io.BytesIO(pickle.dumps(ours))
        for other in (
            copy.deepcopy(ours),
            pickle.load(file),
            torch.load(tmp_path / "module.pt", weights_only=False),
        ):
            assert [n for n, _ in other.named_parameters()] == [
                n for n, _ in ours.named_parameters()
            ]
            for one, two in zip(results(other, sample.forward_input), expected, strict=True):
                assert_same(one, two, 0)
            with torch.no_grad():
                for parameter in other.parameters():
                    parameter.add_(1)
            changed = flat(other(*sample.forward_input.args))[0]
            assert not expected[0].any() or not torch.equal(changed, expected[0])


@every_module
def test_its_state_dict_goes_to_torchs_and_back(info):
    for sample in inputs_of(info, True)[::3]:
        ours, theirs = pair(info, sample.constructor_input, True)
        assert list(ours.state_dict()) == list(theirs.state_dict())
        fresh = make_torch(info, sample.constructor_input, dtype=torch.float64)
        fresh.load_state_dict(ours.state_dict())
        again = make(info, sample.constructor_input, dtype=torch.float64)
        again.load_state_dict(fresh.state_dict(), assign=True)
        assert_same(dict(again.state_dict()), dict(theirs.state_dict()), 0)
        for one, two in zip(
            results(again, sample.forward_input), results(fresh, sample.forward_input), strict=True
        ):
            assert_same(one, two, 1e-12)


@every_module
def test_its_repr_is_torchs_with_the_cell_before_it(info):
    for sample in inputs_of(info, True)[::3]:
        given = sample.constructor_input
        ours, theirs = make(info, given), make_torch(info, given)
        words = ours.extra_repr().split(", ")
        assert words[0] == CELLS[info.module_cls]
        assert set(words[1:]) == set(theirs.extra_repr().split(", "))
        assert repr(ours).startswith(f"RNN(\n  {ours.extra_repr()}")


@every_module
@both_modes
def test_inputs_need_not_be_contiguous(info, training):
    for sample in inputs_of(info, training)[::3]:
        ours, _ = pair(info, sample.constructor_input, training)
        x, *hx = sample.forward_input.args
        if isinstance(x, PackedSequence):
            continue
        strided = [tensor.detach().repeat_interleave(2, -1)[..., ::2] for tensor in flat((x, *hx))]
        states = [tuple(strided[1:]) if len(strided) > 2 else strided[1]] if hx else []
        with torch.no_grad():
            for one, other in zip(flat(ours(strided[0], *states)), flat(ours(x, *hx)), strict=True):
                assert_same(one, other, 1e-12)


@every_module
@pytest.mark.parametrize("batch_first", [False, True])
def test_what_torch_gives_contiguous_is_contiguous(info, batch_first):
    x = torch.randn(2, 5, 3)
    theirs = info.module_cls(3, 4, 2, batch_first=batch_first, bidirectional=True)
    for executor in ("auto", "batched"):
        ours = sn.RNN(CELLS[info.module_cls], 3, 4, 2, batch_first=batch_first,
                      bidirectional=True, executor=executor)  # fmt: skip
        for lengths in (None, [5, 3] if batch_first else [2, 1, 1, 2, 2]):
            found, expected = flat(ours(x, lengths=lengths)), flat(theirs(x))
            for one, other in zip(found, expected, strict=True):
                assert one.is_contiguous() or not other.is_contiguous()


@every_module
def test_derivatives_are_those_of_differences(info):
    for sample in inputs_of(info, training=True)[::7]:
        ours, _ = pair(info, sample.constructor_input, training=True)
        given = sample.forward_input.args
        if isinstance(given[0], PackedSequence):
            continue
        leaves = [leaf for leaf in flat(given) if leaf.requires_grad]
        inputs = [*leaves, *ours.parameters()]

        def call(*_, ours=ours, given=given):
            return tuple(flat(ours(*given)))

        assert torch.autograd.gradcheck(call, inputs, fast_mode=True)
        assert torch.autograd.gradgradcheck(call, inputs, fast_mode=True)


def test_dropout_where_nothing_is_above_warns_as_torch_does():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        sn.RNN("lstm", 3, 4, 1, True, False, 0.5)
        nn.LSTM(3, 4, 1, True, False, 0.5)
    assert [warning.category for warning in told] == [UserWarning] * 2
