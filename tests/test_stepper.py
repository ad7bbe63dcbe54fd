"""Steppers: step by step is what the whole sequence gives, for every cell."""

import pytest
import torch
from test_heads import BATCH, WORDS, batch_of, net_of

import structnet as sn

CHAIN = sn.topologies.create("chain")


def layer_of(cell, **options):
    torch.manual_seed(0)
    return sn.Recurrence("chain", cell, 3, 4, dtype=torch.float64, **options)


@pytest.mark.parametrize("cell", sn.cells.names())
def test_steps_of_a_layer_are_the_whole_sequence(cell):
    layer = layer_of(cell)
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    whole, finals = layer(x.flatten(0, 1), CHAIN.plan([5, 5]), return_states="final")
    stepper = layer.stepper(2)
    steps = torch.stack([stepper.push(x[:, t]) for t in range(5)], 1)
    torch.testing.assert_close(steps.flatten(0, 1), whole, rtol=0, atol=1e-9)
    torch.testing.assert_close(tuple(stepper.state()), tuple(finals), rtol=0, atol=1e-9)


@pytest.mark.parametrize("options", [{}, {"batch_first": True}, {"num_layers": 2}])
@pytest.mark.parametrize("cell", ["lstm", "gru", "mingru", "slstm", "ssm"])
def test_steps_of_an_rnn_are_the_whole_sequence(cell, options):
    rnn = sn.RNN(cell, 3, 4, dtype=torch.float64, **options).eval()
    first = options.get("batch_first", False)
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    whole, finals = rnn(x if first else x.transpose(0, 1))
    stepper = rnn.stepper(2)
    steps = torch.stack([stepper.push(x[:, t]) for t in range(5)], int(first))
    torch.testing.assert_close(steps, whole, rtol=0, atol=1e-9)
    torch.testing.assert_close(stepper.state(), finals, rtol=0, atol=1e-9)


@pytest.mark.parametrize("zoneout", [0.0, 0.3])
@pytest.mark.parametrize("skip", ["none", "dense", "input"])
def test_steps_of_a_net_are_the_whole_sequence_and_so_are_windows(skip, zoneout):
    net = net_of(num_layers=2, skip=skip, zoneout=zoneout, dropout=0.5).double().eval()
    ids = torch.tensor([[1, 5, 0, 39, 2, 7], [3, 3, 9, 1, 1, 1]])
    whole = net(batch_of(*ids.tolist())).unflatten(0, (2, 6))
    # A net in training is fed without dropout, and left in training.
    stepper = net.train().stepper(2)
    steps = torch.stack([stepper.push(ids[:, t]) for t in range(6)], 1)
    assert net.training
    torch.testing.assert_close(steps, whole, rtol=0, atol=1e-9)
    net.eval()
    states, parts = None, []
    for window in ids.split([1, 3, 2], 1):
        output, states = net.carry(batch_of(*window.tolist()), states)
        parts.append(output.unflatten(0, (2, -1)))
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=0, atol=1e-9)
    torch.testing.assert_close(stepper.state(), tuple(map(tuple, states)), rtol=0, atol=1e-9)


def test_rows_are_kept_repeated_and_left_out():
    net = net_of(num_layers=2).eval()
    stepper = net.stepper(3)
    stepper.push([1, 2, 3])
    before = stepper.state()
    stepper.keep([2, 0, 2, 2])
    rows = stepper.push([4, 4, 5, 4])
    torch.testing.assert_close(rows[0], rows[3])
    assert not torch.equal(rows[0], rows[1])
    other = net.stepper()
    other.load_state(before)
    assert other.batch == 3
    torch.testing.assert_close(other.push([4, 0, 4])[2], rows[0])
    other.load_state(None)
    other.push([1, 2, 3])
    torch.testing.assert_close(other.state(), before)


@pytest.mark.parametrize(
    ("topology", "reason"),
    [
        ("bichain", "reads from the end of a sequence, which has not come yet"),
        ("tree", "reads each tree as a whole"),
        ("renet", "reads each grid as a whole"),
        ("graph", "reads each graph as a whole"),
    ],
)
def test_a_topology_that_is_not_streamed_says_why(topology, reason):
    message = f"topology '{topology}' does not go step by step: it .*{reason}.*; train with"
    with pytest.raises(ValueError, match=message):
        sn.Recurrence(topology, "lstm", 3, 4).stepper()


def test_what_does_not_go_step_by_step_is_rejected():
    with pytest.raises(ValueError, match="topology=chain"):
        net_of(topology="bichain").stepper()
    with pytest.raises(ValueError, match="topology 'bichain'"):
        sn.RNN("gru", 3, 4, bidirectional=True).stepper()
    with pytest.raises(ValueError, match="topology=chain"):
        sn.Recurrence("tree", "lstm", 3, 4).stepper()
    with pytest.raises(ValueError, match="readout 'mean' reads whole samples"):
        net_of(readout="mean").stepper()
    with pytest.raises(ValueError, match=r"net\.apart"):
        net_of(apart=True).stepper()
    with pytest.raises(ValueError, match="at least 1 row"):
        net_of().stepper(0)
    with pytest.raises(ValueError, match="step of 2 rows"):
        net_of().stepper(2).push([1])
    with pytest.raises(ValueError, match="one batch size"):
        net_of().stepper(2).load_state((torch.zeros(2, 5), torch.zeros(3, 5)))
    two = net_of(num_layers=2)
    _, states = two.carry(BATCH)
    with pytest.raises(ValueError, match="states are of 2 layers, got those of 1"):
        two.carry(BATCH, states[:1])


def test_tokens_outside_the_vocabulary_are_an_error():
    with pytest.raises((IndexError, RuntimeError)):
        net_of().stepper().push([len(WORDS)])


def test_a_step_in_mixed_precision_takes_no_gradients_from_a_later_pass():
    def gradients(steps):
        net = net_of().train()
        with torch.autocast("cpu", torch.bfloat16):
            for _ in range(steps):
                net.stepper(3).push([1, 2, 3])
            loss = torch.nn.functional.cross_entropy(net(BATCH).float(), BATCH.y)
        return torch.autograd.grad(loss, list(net.parameters()), allow_unused=True)

    expected = gradients(0)
    assert all(one is not None for one in expected)
    torch.testing.assert_close(gradients(1), expected)
