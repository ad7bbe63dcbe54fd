"""Episodes: sn.RNN resets states within sequences, as one step at a time does."""

import pytest
import torch
from conftest import assert_same, every_cell, randomise

import structnet as sn

STEPS, ROWS = 7, 3
# Where episodes begin, by step and row.
STARTS = {
    "none": [],
    "the first step": [(0, 1)],
    "within": [(3, 0), (1, 2), (5, 2)],
    "both": [(0, 0), (0, 2), (2, 0), (6, 1), (6, 2)],
    "everywhere": [(step, row) for step in range(STEPS) for row in range(ROWS)],
}
every_start = pytest.mark.parametrize("places", STARTS.values(), ids=STARTS)


def starts_at(places, steps=STEPS, rows=ROWS):
    starts = torch.zeros(steps, rows, dtype=torch.float64)
    for step, row in places:
        if step < steps and row < rows:
            starts[step, row] = 1
    return starts


def rnn_of(cell, num_layers=1, **options):
    name, own = cell if isinstance(cell, tuple) else (cell, {})
    return randomise(sn.RNN(name, 3, 4, num_layers, dtype=torch.float64, **own, **options))


def inputs_of(rnn, steps=STEPS, rows=ROWS):
    """The input, and random states in torch's form, all of them leaves."""
    generator = torch.Generator().manual_seed(2)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    sizes = rnn.layers[0].cells[0].state_sizes
    return draw(steps, rows, 3), tuple(draw(rnn.num_layers, rows, size) for size in sizes)


def step_by_step(rnn, x, states, starts):
    """The truth: states are multiplied by 1 - start before each step."""
    outputs = []
    for one, start in zip(x, starts, strict=True):
        if states is not None:
            states = tuple((1 - start)[None, :, None] * state for state in states)
        output, states = rnn(one[None], in_form(states))
        states = in_tuple(states)
        outputs.append(output)
    return torch.cat(outputs), states


def in_form(states):
    return states[0] if states is not None and len(states) == 1 else states


def in_tuple(states):
    return (states,) if isinstance(states, torch.Tensor) else tuple(states)


def with_gradients(rnn, output, states, leaves):
    """Output, final states, and gradients of a random sum of both."""
    states = in_tuple(states)
    generator = torch.Generator().manual_seed(3)
    values = (output, *states)
    pulls = [torch.randn(v.shape, generator=generator, dtype=v.dtype) for v in values]
    loss = sum((value * pull).sum() for value, pull in zip(values, pulls, strict=True))
    inputs = [*leaves, *rnn.parameters()]
    grads = torch.autograd.grad(loss, inputs, allow_unused=True, materialize_grads=True)
    return (*values, *grads)


def assert_steps_give_the_same(rnn, starts, with_states=True):
    x, states = inputs_of(rnn, *starts.shape)
    leaves = (x, *states) if with_states else (x,)
    states = states if with_states else None
    expected = with_gradients(rnn, *step_by_step(rnn, x, states, starts), leaves)
    found = with_gradients(rnn, *rnn(x, in_form(states), episode_starts=starts), leaves)
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other, 1e-10)


@every_cell
@every_start
def test_every_cell_is_reset_as_step_by_step(cell, places):
    assert_steps_give_the_same(rnn_of(cell), starts_at(places))


@pytest.mark.parametrize("executor", ["reference", "batched", "scan", "compiled", "torch", "auto"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "mingru"])
@every_start
def test_every_executor_is_reset_as_step_by_step(cell, executor, places):
    try:
        rnn = rnn_of(cell, 2, executor=executor)
    except ValueError as error:
        pytest.skip(str(error))
    assert_steps_give_the_same(rnn, starts_at(places))


@pytest.mark.parametrize("save", ["gates", "recompute", "windows"])
def test_however_backward_is_stored(save):
    assert_steps_give_the_same(rnn_of("lstm", 2, save=save), starts_at(STARTS["both"]))


@pytest.mark.parametrize(("steps", "rows"), [(1, 1), (1, 4), (6, 1), (2, 2)])
@pytest.mark.parametrize("cell", ["lstm", "gru", "elman", "mingru", "ssm"])
@pytest.mark.parametrize("with_states", [True, False])
@every_start
def test_awkward_sizes(cell, steps, rows, with_states, places):
    assert_steps_give_the_same(rnn_of(cell, 2), starts_at(places, steps, rows), with_states)


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float32])
def test_the_starts_are_in_the_layout_of_the_input(dtype):
    rnn, starts = rnn_of("gru"), starts_at(STARTS["both"])
    x, states = inputs_of(rnn)
    expected, finals = rnn(x, states[0], episode_starts=starts)
    rnn.batch_first = True
    found, others = rnn(x.transpose(0, 1), states[0], episode_starts=starts.T.to(dtype))
    assert_same(found.transpose(0, 1), expected)
    assert_same(others, finals)
    alone, last = rnn(x[:, 2], states[0][:, 2], episode_starts=starts[:, 2].tolist())
    assert_same(alone, expected[:, 2])
    assert_same(last, finals[:, 2])


@every_start
def test_padded_rows_end_where_their_lengths_say(places):
    rnn, starts, lengths = rnn_of("lstm", 2), starts_at(places), [4, 7, 1]
    x, states = inputs_of(rnn)
    output, finals = rnn(x, states, lengths=lengths, episode_starts=starts)
    for row, length in enumerate(lengths):
        own = slice(row, row + 1)
        before = tuple(state[:, own] for state in states)
        expected, last = step_by_step(rnn, x[:length, own], before, starts[:length, own])
        assert_same(output[:length, own], expected)
        assert not output[length:, own].any()
        for final, one in zip(finals, last, strict=True):
            assert_same(final[:, own], one)


def test_a_state_that_is_not_a_number_does_not_survive_a_reset():
    rnn = rnn_of("lstm")
    x, states = inputs_of(rnn)
    states = tuple(torch.full_like(state, float("nan")) for state in states)
    for one in (x, x[:1]):
        output, _ = rnn(one, states, episode_starts=starts_at([(0, 0), (0, 1), (0, 2)])[: len(one)])
        assert output.isfinite().all()


def test_gradients_do_not_cross_a_start():
    rnn = rnn_of("lstm")
    x, states = inputs_of(rnn)
    output, _ = rnn(x, states, episode_starts=starts_at([(3, 1)]))
    output[5].sum().backward()
    assert not x.grad[:3, 1].any() and x.grad[3:6, 1].any() and x.grad[:3, 0].any()
    assert not states[0].grad[:, 1].any() and states[0].grad[:, 0].any()


def test_what_has_no_episodes_is_refused():
    rnn, starts = rnn_of("gru"), starts_at([])
    x, _ = inputs_of(rnn)
    with pytest.raises(ValueError, match="bidirectional=False"):
        rnn_of("gru", bidirectional=True)(x, episode_starts=starts)
    packed = torch.nn.utils.rnn.pack_sequence([x[:3, 0], x[:2, 1]])
    with pytest.raises(ValueError, match="got a PackedSequence"):
        rnn(packed, episode_starts=torch.zeros(5))
    with pytest.raises(ValueError, match="got a nested tensor"):
        rnn(torch.nested.nested_tensor([x[:3, 0]], layout=torch.jagged), episode_starts=[0, 0, 0])
    with pytest.raises(ValueError, match=r"of shape \(7, 3\), got \(3, 7\)"):
        rnn(x, episode_starts=starts.T)
    starts[2, 1] = float("nan")
    with pytest.raises(ValueError, match=r"got nan at \[2, 1\]"):
        rnn(x, episode_starts=starts)
    with pytest.raises(ValueError, match=r"got 0.5 at \[0, 0\]"):
        rnn(x[:1], episode_starts=torch.full((1, 3), 0.5))


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("cell", sn.cells.names())
def test_a_stepper_acts_as_the_whole_rollout_learns(cell, batch_first):
    rnn, starts = rnn_of(cell, 2, batch_first=batch_first).eval(), starts_at(STARTS["both"])
    x, _ = inputs_of(rnn)
    layout = (lambda one: one.transpose(0, 1)) if batch_first else (lambda one: one)
    whole, finals = rnn(layout(x), episode_starts=layout(starts))
    stepper = rnn.stepper(ROWS)
    steps = torch.stack([stepper.push(*one) for one in zip(x, starts, strict=True)])
    assert_same(steps, layout(whole), 1e-10)
    for one, other in zip(in_tuple(stepper.state()), in_tuple(finals), strict=True):
        assert_same(one, other, 1e-10)


def test_rows_of_any_stepper_start_anew():
    for stepper in (sn.Recurrence("chain", "lstm", 3, 4).stepper(2), rnn_of("gru").stepper(2)):
        dtype = next(stepper.module.parameters()).dtype
        x = torch.randn(2, 3, dtype=dtype)
        first = stepper.push(x, [False, False])
        second = stepper.push(x, [True, False])
        torch.testing.assert_close(second[0], first[0])
        assert not torch.equal(second[1], first[1])
        with pytest.raises(ValueError, match=r"of shape \(2,\), got \(3,\)"):
            stepper.push(x, [0, 0, 1])
        with pytest.raises(ValueError, match=r"got 2 at \[1\]"):
            stepper.push(x, [0, 2])
