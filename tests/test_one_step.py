"""One step of sequences, which runs without a plan: the same as through the reference."""

import pytest
import torch
from conftest import assert_same, every_cell, randomise

import structnet as sn
from structnet.nn.one_step import is_one_step


def pair(cell, **others):
    """An RNN, and the same one that runs node by node."""
    cell, options = cell
    options = {**options, **others}
    made = {
        executor: sn.RNN(cell, 3, 4, biases=1, executor=executor, dtype=torch.float64, **options)
        for executor in ("auto", "reference")
    }
    randomise(made["auto"], scale=0.3)
    made["reference"].load_state_dict(made["auto"].state_dict())
    return made["auto"], made["reference"]


def step(rnn, x, hx=None):
    """What a step returns, and the gradients of all that it depends on."""
    rnn.zero_grad()
    x = x.clone().requires_grad_()
    hx = None if hx is None else tuple(state.clone().requires_grad_() for state in hx)
    output, states = rnn(x, hx[0] if hx is not None and len(hx) == 1 else hx)
    states = (states,) if isinstance(states, torch.Tensor) else states
    sum(one.sin().sum() for one in (output, *states)).backward()
    # Of a state that is not read there is no gradient, or one of zeros.
    inputs = [x, *(hx or ()), *rnn.parameters()]
    grads = [torch.zeros_like(one) if one.grad is None else one.grad.clone() for one in inputs]
    return [output, *states, *grads]


def states_of(rnn, batch):
    rows = rnn.num_layers * (1 + rnn.bidirectional)
    sizes = rnn.layers[0].cells[0].state_sizes
    return tuple(torch.randn(rows, batch, size, dtype=torch.float64) for size in sizes)


@every_cell
@pytest.mark.parametrize("starts", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_step_is_the_same_as_in_the_reference(cell, starts, bidirectional):
    rnn, reference = pair(cell, num_layers=2, bidirectional=bidirectional)
    for batch_first, batch in ((False, 5), (True, 1)):
        rnn.batch_first = reference.batch_first = batch_first
        x = torch.randn(batch, 3, dtype=torch.float64).unsqueeze(1 if batch_first else 0)
        hx = states_of(rnn, batch) if starts else None
        assert is_one_step(rnn, x)
        assert_same(step(rnn, x, hx), step(reference, x, hx))


def test_what_a_layer_adds_is_not_left_out():
    x = torch.randn(1, 2, 3)
    plain = sn.RNN("mgu", 3, 4)
    assert is_one_step(plain, x) and not is_one_step(plain, torch.randn(2, 2, 3))
    assert not is_one_step(plain, torch.randn(1, 3)) and not is_one_step(
        plain, torch.zeros(1, 2, 0)
    )
    assert not is_one_step(sn.RNN("mgu", 3, 4, zoneout=0.1), x)
    assert not is_one_step(sn.RNN("mgu", 3, 4, executor="reference"), x)
    called = []
    plain.layers[0].register_forward_hook(lambda *given: called.append("layer"))
    plain(x)
    hooked = sn.RNN("mgu", 3, 4)
    hooked.layers[0].cells[0].register_forward_hook(lambda *given: called.append("cell"))
    hooked(x)
    assert called == ["layer", "cell"]


def test_a_step_drops_between_layers_in_training_alone():
    rnn = sn.RNN("mgu", 3, 400, num_layers=2, dropout=0.5)
    x = torch.randn(1, 1, 3)
    entered = []
    cell = rnn.layers[1].cells[0]
    cell.project = lambda x, project=cell.project: entered.append(x) or project(x)
    rnn(x)
    rnn.eval()(x)
    dropped, whole = ((one == 0).float().mean() for one in entered)
    assert 0.3 < dropped < 0.7 and whole == 0


def test_a_step_under_autocast_has_the_dtypes_of_longer_sequences():
    rnn = sn.RNN("lstm", 3, 4, peephole=True)
    with torch.autocast("cpu", torch.bfloat16):
        one, two = (rnn(torch.randn(steps, 2, 3)) for steps in (1, 2))
    assert [one[0].dtype, *(s.dtype for s in one[1])] == [two[0].dtype, *(s.dtype for s in two[1])]


def test_a_step_of_another_size_is_refused():
    rnn = sn.RNN("mgu", 3, 4)
    with pytest.raises(RuntimeError, match="input_size = 3"):
        rnn(torch.randn(1, 2, 5))
    with pytest.raises(RuntimeError, match="initial states"):
        rnn(torch.randn(1, 2, 3), torch.zeros(1, 3, 4))


def test_layers_that_were_wrapped_or_replaced_are_called():
    class Counted(sn.Recurrence):
        calls = 0

        def forward(self, *given, **options):
            Counted.calls += 1
            return super().forward(*given, **options)

    x, rnn = torch.randn(1, 2, 3), sn.RNN("mgu", 3, 4)
    expected = rnn(x)[0]
    rnn.layers[0].__class__ = Counted
    assert torch.equal(rnn(x)[0], expected) and Counted.calls == 1
    rnn.layers[0].__class__ = sn.Recurrence
    rnn.layers[0] = torch.compile(rnn.layers[0], backend="eager")
    assert torch.equal(rnn(x)[0], expected)
