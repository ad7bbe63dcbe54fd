"""Nets for pixels: nothing leaks, they are the papers' equations, and drawing is their forward."""

from functools import partial

import numpy as np
import pytest
import torch
from conftest import assert_same, randomise
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import structnet as sn
from structnet.plugins.grid.likelihood import create_likelihood
from structnet.plugins.grid.pixel.canvas import Whole
from structnet.plugins.grid.pixel.condition import Classes, Small
from structnet.plugins.grid.pixel.layout import Layout
from structnet.plugins.grid.pixel.sampling import Sampler, sample

# One channel, and colours whose order counts; an output for every rank.
GREY, COLOUR = (0, 0), (0, 0, 1, 2)
NETS = {
    "row": ("pixelrnn", "row", {}),
    "row-all": ("pixelrnn", "row", {"memory": "all", "skip": True}),
    "diagonal": ("pixelrnn", "diagonal", {}),
    "diagonal-kernel": ("pixelrnn", "diagonal", {"kernel": 5, "first_kernel": 3}),
    "bidiagonal": ("pixelrnn", "bidiagonal", {}),
    "bidiagonal-all": ("pixelrnn", "bidiagonal", {"memory": "all", "skip": True, "num_layers": 1}),
    "plain": ("pixelcnn", "row", {"skip": True, "first_kernel": 3}),
    "gated": ("pixelcnn", "diagonal", {"gated": True, "skip": True, "num_layers": 6}),
}
SMALLEST = {"hidden_size": 3, "num_layers": 2, "condition_size": 2}


def build(kind, sees=GREY, condition=None, cell="lstm", **options):
    """A net with random weights, and its topology."""
    name, topology, given = NETS[kind]
    topology = sn.topologies.create(topology)
    sizes = sn.Sizes(None, 1 + max(sees), len(sees), sees, condition)
    net = sn.nets.create(
        name,
        sizes,
        topology,
        partial(sn.cells.create, cell),
        partial(sn.readouts.create, "every"),
        **SMALLEST | given | options,
    )
    return randomise(net.double(), scale=0.5), topology


def images(topology, shapes, channels, conditions=None, seed=0):
    draw = np.random.default_rng(seed)
    samples = []
    for place, shape in enumerate(shapes):
        x = draw.uniform(-1, 1, (shape[0] * shape[1], channels))
        condition = None if conditions is None else conditions[place]
        samples.append(sn.Sample(shape, x, np.zeros((len(x), 1), np.int64), condition=condition))
    return sn.collate(samples, topology)


every_net = pytest.mark.parametrize("kind", NETS)
every_order = pytest.mark.parametrize("sees", [GREY, COLOUR], ids=["grey", "colour"])


# Leaks


@pytest.fixture
def smooth(monkeypatch):
    """No ReLU hides a dependency by being zero."""
    monkeypatch.setattr(torch.Tensor, "relu", lambda x: F.softplus(x))
    monkeypatch.setattr(torch.nn.ReLU, "forward", lambda self, x: F.softplus(x))


def dependencies(net, batch):
    """[node, output, other node, channel]: whether there is a gradient."""
    x = batch.x.requires_grad_()
    output = net(batch)
    found = torch.zeros(*output.shape, *x.shape, dtype=torch.bool)
    for node in range(len(output)):
        for place in range(output.shape[1]):
            (grad,) = torch.autograd.grad(output[node, place], x, retain_graph=True)
            found[node, place] = grad != 0
    return found


@every_order
@every_net
def test_a_pixel_depends_on_no_pixel_after_it_and_on_the_channels_before(kind, sees, smooth):
    net, topology = build(kind, sees)
    batch = images(topology, [(4, 5), (2, 3)], 1 + max(sees))
    found = dependencies(net, batch)
    node = torch.arange(batch.num_nodes)
    sample = batch.sample_of_node()
    before = (node[:, None] > node) & (sample[:, None] == sample)
    for place, rank in enumerate(sees):
        own = found[node, place, node]
        assert own[:, :rank].all() and not own[:, rank:].any()
        others = found[:, place].clone()
        others[node, node] = False
        assert not others[~before].any()


@every_order
@pytest.mark.parametrize("kind", ["bidiagonal", "bidiagonal-all", "gated"])
def test_a_pixel_depends_on_all_before_it_where_the_paper_says_so(kind, sees, smooth):
    net, topology = build(kind, sees)
    # Wider than what the first convolution reaches, which would hide a blind spot.
    found = dependencies(net, images(topology, [(4, 9)], 1 + max(sees)))
    node = torch.arange(36)
    assert found[:, 0][node[:, None] > node].all()


# What each reads, from the paper's words: the first convolution, and in a layer what a pixel's
# output is made of.
def triangle(first, layers):
    """Row LSTM: rows above, a column more each side and row, and input-to-state to the left."""

    def layer(row, column):
        for up in range(row + 1):
            for beside in range(-up - 1, up + 1):
                yield row - up, column + beside

    return first, layer, layers


def quarter(first, layers):
    """Diagonal LSTM: all that is above and to the left."""

    def layer(row, column):
        return ((r, c) for r in range(row + 1) for c in range(column + 1))

    return first, layer, layers


def square(first, layers, half=1):
    """PixelCNN: a convolution's pixels before the centre, and the centre."""

    def layer(row, column):
        yield row, column
        for up in range(half + 1):
            for beside in range(-half, half + 1):
                if (up, -beside) > (0, 0):
                    yield row - up, column + beside

    return first, layer, layers


def reached(row, column, shape, first, layer, layers):
    def inside(places):
        return {(r, c) for r, c in places if 0 <= r < shape[0] and 0 <= c < shape[1]}

    seen = {(row, column)}
    for _ in range(layers):
        seen |= inside(place for one in seen for place in layer(*one))
    _, convolution, _ = square(0, 0, first // 2)
    return inside(place for r, c in seen for place in convolution(r, c) if place != (r, c))


@pytest.mark.parametrize(
    ("kind", "reach", "blind"),
    [
        ("row", triangle(3, 1), ((6, 0), (4, 5))),
        ("diagonal", quarter(3, 2), ((3, 0), (1, 3))),
        ("plain", square(3, 2), ((3, 3), (2, 7))),
    ],
)
def test_a_pixel_depends_on_exactly_what_the_paper_says_it_reads(kind, reach, blind, smooth):
    shape = (7, 8)
    net, topology = build(kind, first_kernel=reach[0], num_layers=reach[2])
    found = dependencies(net, images(topology, [shape], 1))[:, 0, :, 0]
    for node in range(56):
        expected = reached(*divmod(node, 8), shape, *reach)
        assert {divmod(at, 8) for at in found[node].nonzero()[:, 0].tolist()} == expected
    # The blind spot: before the pixel, and never seen.
    (row, column), (r, c) = blind
    assert (r, c) < (row, column) and not found[row * 8 + column, r * 8 + c]


def test_the_condition_is_seen_everywhere_and_hides_nothing(smooth):
    for kind in NETS:
        net, topology = build(kind, COLOUR, Classes(4))
        batch = images(topology, [(3, 4), (2, 2)], 3, [1, 3])
        features = net.condition.weight
        output = net(batch)
        for node in (0, 5, 11):
            (grad,) = torch.autograd.grad(output[node].sum(), features, retain_graph=True)
            assert grad[1].any() and not grad[[0, 2, 3]].any()


def test_an_enlarged_image_is_seen_where_it_belongs():
    net, topology = build("row", GREY, Small(1, 2))
    small = np.random.default_rng(0).uniform(-1, 1, (2, 3, 2, 1))
    batch = images(topology, [(7, 4), (6, 3)], 1, [small[0], small[0]])
    with pytest.raises(ValueError, match="too small for one of"):
        net(batch)
    batch = images(topology, [(6, 4), (5, 3)], 1, [small[0], small[1]])
    h = net.give(batch)
    assert h.shape == (39, 2)
    alone = net.give(images(topology, [(5, 3)], 1, [small[1]]))
    assert_same(h[24:], alone)


# Refusals


@pytest.mark.parametrize("name", ["multidirectional", "renet"])
def test_a_topology_that_sees_ahead_is_refused(name):
    NETS["ahead"] = ("pixelrnn", name, {})
    try:
        with pytest.raises(ValueError, match="take topology=row, diagonal or bidiagonal"):
            build("ahead")
    finally:
        del NETS["ahead"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"direction": "up"}, "still to be predicted"),
        ({"direction": "both"}, "still to be predicted"),
        ({"dims": 3}, "two axes"),
    ],
)
def test_a_row_that_sees_ahead_or_is_no_image_is_refused(options, message):
    topology = sn.topologies.create("row", **options)
    with pytest.raises(ValueError, match=message):
        sn.nets.create("pixelrnn", sn.Sizes(None, 1, 2, GREY, None), topology,
                       partial(sn.cells.create, "lstm"),
                       partial(sn.readouts.create, "every"))  # fmt: skip


def test_a_task_that_does_not_predict_its_input_is_refused():
    for name in ("pixelrnn", "pixelcnn"):
        with pytest.raises(ValueError, match=r"task\.goal=pixels"):
            sn.nets.create(name, sn.Sizes(None, 1, 2), sn.topologies.create("row"),
                           partial(sn.cells.create, "lstm"),
                           partial(sn.readouts.create, "every"))  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [{"hidden_size": 0}, {"num_layers": 0}, {"head_size": 0}, {"first_kernel": 4}, {"kernel": 2},
     {"memory": "some"}],
)  # fmt: skip
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options.values()))}"):
        build("row", **options)


def test_a_cell_that_mixes_the_channels_of_a_pixel_is_refused():
    topology = sn.topologies.create("diagonal")
    for options in ({"layer_norm": True}, {"projection_size": 3}, {"projection_size": 2}):
        cell = partial(sn.cells.create, "lstm", **options)
        for sees in (GREY, COLOUR):
            sizes = sn.Sizes(None, 1 + max(sees), len(sees), sees)
            make = partial(sn.nets.create, "pixelrnn", sizes, topology, cell,
                           partial(sn.readouts.create, "every"), **SMALLEST)  # fmt: skip
            if sees == GREY:
                make()
            else:
                with pytest.raises(ValueError, match="see all channels of its own pixel"):
                    make()


# Evidence: plain loops and convolutions


def own_block(kind, **options):
    net, topology = build(kind, **{"num_layers": 1, "hidden_size": 2} | options)
    shape = (4, 5)
    batch = images(topology, [shape], 1)
    x = torch.randn(20, 4, dtype=torch.float64, requires_grad=True)
    whole = Whole(Layout([shape]), batch.plans, batch.x, None)
    return net.blocks[0], whole, x.detach().view(4, 5, 4).requires_grad_(), batch


def lstm(z, recurrent, bias, before, memory):
    """Eq. 3 of PixelRNN: the gates, in the cell's order i, o, u, f."""
    i, o, u, f = (z + before @ recurrent + bias).chunk(4)
    c = f.sigmoid() * memory + i.sigmoid() * u.tanh()
    return o.sigmoid() * c.tanh(), c


def diagonal_loop(sweep, x, rightwards):
    """Diagonal LSTM, one pixel after the other: memory comes along the row."""
    cell = sweep.recurrence.cells[0]
    zero = x.new_zeros(2)
    h, c = {}, {}
    height, width = x.shape[:2]
    step = 1 if rightwards else -1
    for row in range(height):
        for column in range(width)[::step]:
            beside, above = (row, column - step), (row - 1, column)
            z = cell.input.weight @ x[row, column]
            before = torch.cat([h.get(beside, zero), h.get(above, zero)])
            h[row, column], c[row, column] = lstm(
                z, cell.recurrent, cell.input.bias, before, c.get(beside, zero)
            )
    return torch.stack([torch.stack([h[row, at] for at in range(width)]) for row in range(height)])


def assert_same_with_gradients(found, expected, parameters):
    assert_same(found, expected)
    weight = torch.randn_like(expected)
    for one, other in zip(
        torch.autograd.grad((found * weight).sum(), parameters, retain_graph=True),
        torch.autograd.grad((expected * weight).sum(), parameters),
        strict=True,
    ):
        assert_same(one, other)


def test_a_diagonal_lstm_is_a_loop_over_pixels():
    block, whole, x, _ = own_block("diagonal")
    found = block(whole, x.flatten(0, 1))
    expected = diagonal_loop(block.sweeps[0], x, rightwards=True)
    learned = [x, *block.sweeps.parameters()]
    assert_same_with_gradients(found, expected.flatten(0, 1), learned)


def test_a_diagonal_bilstm_adds_the_leftward_sweep_a_row_down():
    block, whole, x, batch = own_block("bidiagonal")
    found = block(whole, x.flatten(0, 1))
    right = diagonal_loop(block.sweeps[0], x, rightwards=True)
    # The leftward sweep of the first block sees the image too.
    with_input = torch.cat([x, batch.x.view(4, 5, 1)], dim=2)
    left = diagonal_loop(block.sweeps[1], with_input, rightwards=False)
    expected = right + torch.cat([torch.zeros_like(left[:1]), left[:-1]])
    learned = [x, *block.sweeps.parameters()]
    assert_same_with_gradients(found, expected.flatten(0, 1), learned)


def test_a_row_lstm_is_convolutions_along_the_row():
    block, whole, x, _ = own_block("row")
    found = block(whole, x.flatten(0, 1))
    cell = block.sweeps[0].recurrence.cells[0]
    # (gates, inputs, 3): the right tap of input-to-state is masked, state-to-state has all three.
    weight = cell.input.weight.view(8, 2, 4).permute(0, 2, 1)
    to_state = torch.cat([weight, torch.zeros_like(weight[..., :1])], dim=2)
    between = cell.recurrent.view(3, 2, 8).permute(2, 1, 0)
    h = c = torch.zeros(1, 2, 5, dtype=torch.float64)
    rows = []
    for row in x:
        z = F.conv1d(row.T[None], to_state, cell.input.bias, padding=1)
        i, o, u, f = (z + F.conv1d(h, between, padding=1)).chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * u.tanh()
        h = o.sigmoid() * c.tanh()
        rows.append(h[0].T)
    learned = [x, *block.sweeps.parameters()]
    assert_same_with_gradients(found, torch.cat(rows), learned)


@every_order
def test_a_pixelcnn_is_masked_convolutions(sees):
    channels = 1 + max(sees)
    net, topology = build("plain", sees, skip=False, hidden_size=6, first_kernel=7)
    batch = images(topology, [(6, 5)] * 2, channels)
    body = net.body

    def dense(layer, size, ranks_in, ranks_out):
        """The layer's weights in a square kernel under the paper's mask."""
        half = size // 2
        kernel = torch.zeros(len(ranks_out), len(ranks_in), size, size, dtype=torch.float64)
        for place, (dy, dx) in enumerate(layer.taps):
            kernel[:, :, half + dy, half + dx] = layer.weight.unflatten(1, (-1, len(ranks_in)))[
                :, place
            ]
        mask = torch.zeros(size, size)
        mask[:half] = mask[half, :half] = 1
        mask = mask.expand_as(kernel).clone()
        mask[:, :, half, half] = torch.tensor(
            [[float(one <= other) for one in ranks_in] for other in ranks_out]
        )
        assert torch.equal(kernel * mask, kernel)
        return kernel * mask, layer.bias

    def features(count):
        return [place * channels // count for place in range(count)]

    colours = [1 + channel for channel in range(channels)]
    x = batch.x.view(2, 6, 5, channels).permute(0, 3, 1, 2)
    h = F.conv2d(x, *dense(body.first, 7, colours, features(12)), padding=3)
    for down, layer, up in zip(body.downs, body.layers, body.ups, strict=True):
        inner = F.conv2d(h.relu(), *dense(down, 1, features(12), features(6))).relu()
        inner = F.conv2d(inner, *dense(layer, 3, features(6), features(6)), padding=1).relu()
        h = h + F.conv2d(inner, *dense(up, 1, features(6), features(12)))
    first, last = net.head.layers[1], net.head.layers[3]
    h = F.conv2d(h.relu(), *dense(first, 1, features(12), features(12)))
    h = F.conv2d(h.relu(), *dense(last, 1, features(12), sees))
    found = net(batch)
    assert_same(found, h.permute(0, 2, 3, 1).flatten(0, 2))


# Drawing


@every_order
@every_net
def test_what_is_known_while_drawing_is_what_the_whole_image_gives(kind, sees):
    channels = 1 + max(sees)
    net, topology = build(kind, sees, Classes(3))
    batch = images(topology, [(5, 4), (3, 7), (5, 4), (1, 3), (2, 1)], channels, [0, 2, 1, 1, 0])
    expected = net(batch)
    with torch.inference_mode():
        sampler = Sampler(net, batch)
        found = torch.full_like(expected, torch.nan)
        for step in sampler.steps:
            # Channel by channel, what is not yet drawn being anything.
            mine = torch.full_like(batch.x[step.nodes], 7.0)
            for channel in range(channels):
                sampler.show(step, mine)
                said = sampler.outputs(step, again=channel > 0)
                mine[:, channel] = batch.x[step.nodes, channel]
            found[step.nodes] = said
            sampler.show(step, mine)
    assert_same(found, expected)


@every_order
@pytest.mark.parametrize("cell", sn.cells.names())
def test_every_cell_draws_what_the_whole_image_gives_and_leaks_nothing(cell, sees, smooth):
    for kind in ("row", "bidiagonal"):
        try:
            net, topology = build(kind, sees, cell=cell, hidden_size=4, num_layers=1)
        except ValueError as error:
            # A cell of one predecessor, or one that would leak.
            assert any(word in str(error) for word in ("predecessor", "arity", "own pixel"))
            continue
        batch = images(topology, [(3, 4), (2, 2)], 1 + max(sees))
        expected = net(batch).detach()
        with torch.inference_mode():
            sampler = Sampler(net, batch)
            for step in sampler.steps:
                sampler.show(step, batch.x[step.nodes])
                found = sampler.outputs(step)
                assert_same(found, expected[step.nodes], 1e-10)
        found = dependencies(net, images(topology, [(2, 3)], 1 + max(sees)))
        node = torch.arange(6)
        assert not found[:, 0][node[:, None] < node].any()
        for place, rank in enumerate(sees):
            assert not found[node, place, node][:, rank:].any()


def test_pixels_are_drawn_together_where_the_net_allows_it():
    count = {}
    for kind in NETS:
        net, topology = build(kind, first_kernel=7)
        sampler = Sampler(net, images(topology, [(8, 9)] * 2, 1))
        drawn = torch.cat([step.nodes for step in sampler.steps])
        assert drawn.sort().values.tolist() == list(range(144))
        count[kind] = len(sampler.steps)
    # The seven columns of the first convolution: a level is column + 4 row.
    assert count["row"] == count["diagonal"] == count["plain"] == 9 + 4 * 7
    assert count["bidiagonal"] == count["gated"] == 72


def encoded(values):
    return values.double() * 2 - 1


def test_the_frequencies_of_drawn_images_are_the_probabilities():
    net, topology = build("bidiagonal", (0,))
    count, likelihood = 4000, create_likelihood("bernoulli", 1, 2, 10)
    batch = images(topology, [(2, 2)] * count, 1)
    generator = torch.Generator().manual_seed(0)
    drawn = sample(net, batch, likelihood, encoded, generator=generator).view(count, 4)
    every = torch.cartesian_prod(*[torch.arange(2)] * 4)
    all_images = images(topology, [(2, 2)] * 16, 1)
    all_images.x[:] = encoded(every).view(-1, 1)
    nats = likelihood.nats(net(all_images), every.view(-1, 1)).view(16, 4).sum(1)
    assert_same(nats.neg().exp().sum(), torch.ones(()).double())
    code = (drawn * torch.tensor([8, 4, 2, 1])).sum(1)
    found = torch.bincount(code, minlength=16) / count
    assert (found - nats.neg().exp()).abs().max() < 0.03


def test_given_pixels_are_kept_and_the_seed_decides_the_others():
    net, topology = build("row", (0, 0, 1, 1, 2, 2))
    likelihood = create_likelihood("softmax", 3, 2, 10)
    batch = images(topology, [(4, 4)] * 5, 3)
    known = torch.randint(2, (80, 3))
    keep = torch.arange(80) % 16 < 8

    def draw(seed, temperature=1.0):
        generator = torch.Generator().manual_seed(seed)
        return sample(net, batch, likelihood, encoded, known=known, keep=keep,
                      temperature=temperature, generator=generator)  # fmt: skip

    one = draw(0)
    assert torch.equal(one[keep], known[keep])
    assert torch.equal(one, draw(0)) and not torch.equal(one, draw(1))
    assert torch.equal(draw(0, 1e-6), draw(1, 1e-6))
    with pytest.raises(ValueError, match="temperature"):
        draw(0, 0.0)


@pytest.mark.parametrize("executor", ["reference", "compiled"])
def test_every_executor_gives_the_same_net(traced, executor):
    net, topology = build("bidiagonal", COLOUR)
    other, _ = build("bidiagonal", COLOUR, executor=executor)
    batch = images(topology, [(3, 4), (2, 2)], 3)
    assert_same(net(batch), other(batch))
    other(batch).sum().backward()
    net(batch).sum().backward()
    for one, two in zip(net.parameters(), other.parameters(), strict=True):
        assert_same(one.grad, two.grad, 1e-10)


@pytest.mark.parametrize("kind", ["row", "bidiagonal", "gated"])
def test_drawing_multiplies_hardly_more_than_the_whole_image_once(kind):
    """Recomputing the images for every one of 100 pixels would multiply 100 times as much."""
    net, topology = build(kind, (0,), num_layers=3, hidden_size=16)
    batch = images(topology, [(10, 10)] * 2, 1)
    likelihood = create_likelihood("bernoulli", 1, 2, 10)
    with FlopCounterMode(display=False) as drawing:
        sample(net, batch, likelihood, lambda values: values.double() * 2 - 1)
    with torch.inference_mode(), FlopCounterMode(display=False) as once:
        net(batch)
    assert 0 < drawing.get_total_flops() <= 1.1 * once.get_total_flops()
