"""A model whose nn.LSTM, nn.GRU or nn.RNN became an sn.RNN goes on as before."""

import copy
import functools

import pytest
import torch
from conftest import assert_same, every_cell, randomise
from torch import nn
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence

import structnet as sn

KINDS = {"lstm": (nn.LSTM, {}), "projected": (nn.LSTM, {"proj_size": 2}), "gru": (nn.GRU, {}),
         "elman": (nn.RNN, {}), "relu": (nn.RNN, {"nonlinearity": "relu"})}  # fmt: skip
every_kind = pytest.mark.parametrize("kind", KINDS)
pytestmark = [
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported:UserWarning"),
    # Dynamo asks a layer's output for it, as after nn.LSTM.
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not:UserWarning"),
    # torch.jit says so of itself.
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]


def pair(kind, dtype=torch.float64, scale=0.3, **options):
    module, own = KINDS[kind]
    options = {"num_layers": 2, "batch_first": True, **options}
    theirs = randomise(module(3, 4, **own, **options).to(dtype), scale=scale)
    return sn.RNN.from_torch(theirs), theirs


def steps(samples=2, length=5, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(samples, length, 3, generator=generator, dtype=dtype)


def ragged(seed=0):
    return pack_sequence([steps(1, size, seed=seed)[0] for size in (5, 2, 4)], enforce_sorted=False)


class Model(nn.Module):
    """The recurrent layer, its outputs read at every step."""

    def __init__(self, rnn):
        super().__init__()
        self.rnn = rnn
        weight = next(rnn.parameters())
        size = (rnn.proj_size or rnn.hidden_size) * (1 + rnn.bidirectional)
        self.head = nn.Linear(size, 2, device=weight.device, dtype=weight.dtype)

    def forward(self, x):
        return self.head(self.rnn(x)[0])


# Training


OPTIMIZERS = {
    "adam": functools.partial(torch.optim.Adam, lr=0.03),
    "adamw": functools.partial(torch.optim.AdamW, lr=0.03, weight_decay=0.1),
    "sgd": functools.partial(torch.optim.SGD, lr=0.3, momentum=0.9, weight_decay=0.01),
}


@every_kind
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("form", [steps, ragged])
def test_twenty_steps_of_training_are_torchs(kind, optimizer, form):
    modules = pair(kind)
    losses = []
    for module in modules:
        learner, own = OPTIMIZERS[optimizer](module.parameters()), []
        for step in range(20):
            output = module(form(seed=step))[0]
            output = output if isinstance(output, torch.Tensor) else output.data
            loss = (output - 0.5).pow(2).mean()
            learner.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(module.parameters(), 0.05)
            learner.step()
            own.append(loss.detach())
        losses.append(torch.stack(own))
    assert_same(*losses, 1e-11)
    assert_same(*(dict(module.named_parameters()) for module in modules), 1e-10)


def test_with_one_bias_it_trains_as_torchs_with_one_bias_frozen():
    ours, theirs = (module for module in pair("lstm", num_layers=1))
    one = sn.RNN("lstm", 3, 4, batch_first=True, biases=1).double()
    one.load_torch(theirs)
    assert len(list(one.parameters())) == 3 and len(list(ours.parameters())) == 4
    assert [name for name, _ in one.named_parameters()] == [
        f"layers.0.cells.0.{name}" for name in ("recurrent", "input.weight", "input.bias")
    ]
    theirs.bias_hh_l0.requires_grad_(False)
    for module in (one, theirs):
        learner = torch.optim.Adam([p for p in module.parameters() if p.requires_grad], 0.1)
        for step in range(5):
            learner.zero_grad()
            module(steps(seed=step))[0].pow(2).sum().backward()
            learner.step()
    assert_same(one(steps())[0], theirs(steps())[0], 1e-10)


@pytest.mark.parametrize("kind", ["lstm", "gru", "elman"])
def test_weights_of_one_bias_are_read(kind):
    one = randomise(sn.RNN(kind, 3, 4, 2, bidirectional=True, biases=1).double())
    two = sn.RNN(kind, 3, 4, 2, bidirectional=True).double()
    two.load_state_dict(one.state_dict())
    x = steps().transpose(0, 1)
    assert_same(two(x)[0], one(x)[0], 1e-12)
    for layer, other in zip(two.layers, one.layers, strict=True):
        randomise(layer)
        layer.cells.load_state_dict(other.cells.state_dict())
    assert_same(two(x)[0], one(x)[0], 1e-12)
    back = sn.RNN(kind, 3, 4, 2, bidirectional=True, biases=1).double()
    back.load_state_dict(two.state_dict())
    assert_same(dict(back.state_dict()), dict(one.state_dict()), 1e-15)


def test_it_starts_where_one_bias_does():
    made = []
    for biases in (1, 2):
        torch.manual_seed(0)
        made.append(sn.RNN("lstm", 3, 4, 2, biases=biases))
    assert_same(*(made[n](steps(dtype=torch.float32))[0] for n in (0, 1)), 1e-6)


# Single steps


@every_kind
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_single_step_is_torchs(kind, bidirectional):
    ours, theirs = pair(kind, bidirectional=bidirectional, dropout=0.5)
    for module in (ours, theirs):
        module.eval()
    states = [None, None]
    for step in range(3):
        x = steps(3, 1, seed=step)
        outputs = []
        for place, module in enumerate((ours, theirs)):
            output, states[place] = module(x, states[place])
            outputs.append(output)
        assert_same(*outputs, 1e-12)
    grads = [torch.autograd.grad(output.sum(), list(module.parameters()))
             for output, module in zip(outputs, (ours, theirs), strict=True)]  # fmt: skip
    assert_same(*map(list, grads), 1e-12)


@pytest.mark.parametrize("kind", ["lstm", "gru", "elman"])
def test_weights_that_nothing_reads_have_a_gradient_of_zero(kind):
    for executor in ("auto", "batched", "reference"):
        rnn = sn.RNN(kind, 3, 4, executor=executor)
        rnn(torch.randn(1, 2, 3))[0].sum().backward()
        assert all(parameter.grad is not None for parameter in rnn.parameters())
        assert not rnn.weight_hh_l0.grad.any()


# Compilers


@pytest.mark.parametrize("kind", ["lstm", "projected", "gru", "elman"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_a_compiled_model_trains(kind, bidirectional, backend):
    model = Model(pair(kind, bidirectional=bidirectional)[0])
    assert_compiled_alike(model, backend)


@pytest.mark.parametrize("cell", [("lstm", {"executor": "batched"}), ("mingru", {})])
def test_a_compiled_model_of_executors_trains(cell):
    name, options = cell
    assert_compiled_alike(Model(sn.RNN(name, 3, 4, batch_first=True, **options).double()))


def assert_compiled_alike(model, backend="aot_eager"):
    torch._dynamo.reset()
    compiled = torch.compile(model, backend=backend)
    for shape in ((2, 5), (3, 4), (3, 1)):
        found = []
        for one in (compiled, model):
            model.zero_grad()
            output = one(steps(*shape))
            output.pow(2).sum().backward()
            grads = [p.grad.clone() for p in model.parameters() if p.grad is not None]
            found.append([output, *grads])
        assert_same(*found, 1e-10)


@pytest.mark.parametrize(
    ("kind", "strict"), [*((kind, False) for kind in KINDS), ("lstm", True), ("gru", True)]
)
def test_it_is_exported(kind, strict):
    model = Model(pair(kind, bidirectional=True)[0]).eval()
    shapes = ({0: torch.export.Dim("samples")},)
    exported = torch.export.export(model, (steps(),), dynamic_shapes=shapes, strict=strict)
    assert_same(exported.module()(steps(4)), model(steps(4)), 1e-12)
    assert model.state_dict().keys() <= exported.state_dict.keys()


@pytest.mark.parametrize("kind", ["lstm", "gru", "elman"])
def test_a_traced_layer_takes_other_batches(kind):
    model = Model(pair(kind)[0]).eval()
    traced = torch.jit.trace(model, steps(), check_trace=False)
    for shape in ((4, 5), (2, 7), (1, 10), (3, 1)):
        assert_same(traced(steps(*shape)), model(steps(*shape)), 1e-12)


@pytest.mark.parametrize("kind", ["lstm", "projected", "gru", "elman"])
@pytest.mark.parametrize("lengths", [None, [5, 3]])
def test_every_derivative_of_torch_func_is_the_references(kind, lengths):
    ours, theirs = pair(kind, num_layers=1)
    options = {"proj_size": 2} if kind == "projected" else {}
    reference = sn.RNN(ours.cell, 3, 4, batch_first=True, executor="reference", **options).double()
    reference.load_state_dict(theirs.state_dict())
    weights = {name: parameter.detach() for name, parameter in ours.named_parameters()}
    x = steps()
    found = []
    for rnn in (ours, reference):

        def loss(weights, x, rnn=rnn, lengths=lengths):
            output, _ = torch.func.functional_call(rnn, weights, (x,), {"lengths": lengths})
            return output.pow(2).mean((1, 2))

        def alone(weights, sample, loss=loss):
            return loss(weights, sample[None], lengths=None).sum()

        each = torch.func.vmap(torch.func.grad(alone), (None, 0))(weights, x)
        found.append([
            torch.func.jacrev(loss, 1)(weights, x),
            torch.func.jacfwd(loss, 1)(weights, x),
            torch.func.jvp(lambda x, loss=loss: loss(weights, x), (x,), (x,))[1],
            *each.values(),
        ])  # fmt: skip
    assert_same(*found, 1e-10)


# Types and devices


@pytest.mark.parametrize("kind", KINDS)
def test_under_autocast_it_is_of_torchs_types(kind):
    ours, theirs = pair(kind, dtype=torch.float32)
    x = steps(dtype=torch.float32)
    try:
        with torch.autocast("cpu", torch.bfloat16):
            theirs(x)
    except RuntimeError as error:
        if "could not create a primitive descriptor" not in str(error):
            raise
        pytest.skip(f"torch's own layer does not run in bfloat16 on this processor: {error}")
    forms = [x, pack_sequence([x[0], x[1]]), pack_sequence([x[0], x[1, :3]])]
    for form in forms:
        with torch.autocast("cpu", torch.bfloat16):
            found = []
            for module in (ours, theirs):
                output, states = module(form)
                data = output if isinstance(output, torch.Tensor) else output.data
                states = (states,) if isinstance(states, torch.Tensor) else states
                found.append([data.dtype, *(state.dtype for state in states)])
                module(form, tuple(states) if len(states) > 1 else states[0])
                data.float().sum().backward()
        assert found[0] == found[1]


@pytest.mark.parametrize("cell", ["lstm", "mgu"])
def test_a_default_device_is_where_it_is_made_and_no_more(cell):
    x = steps(dtype=torch.float32)
    packed = pack_sequence([x[0], x[1, :3]])
    with torch.device("meta"):
        assert sn.RNN(cell, 3, 4)(torch.randn(5, 2, 3))[0].device.type == "meta"
        rnn = sn.RNN(cell, 3, 4, batch_first=True, device="cpu")
        for lengths in (None, [5, 3], [5, 5]):
            output, _ = rnn(x, lengths=lengths)
            assert output.device.type == "cpu"
            output.sum().backward()
        assert rnn(packed)[0].data.device.type == "cpu"


@every_cell
def test_an_output_is_viewed_as_rows(cell):
    name, options = cell
    rnn = sn.RNN(name, 3, 4, **options)
    for lengths in (None, [5, 3]):
        output, _ = rnn(torch.randn(5, 2, 3), lengths=lengths)
        output.view(-1, rnn.output_size)


@every_cell
def test_a_batch_of_no_samples_takes_states(cell):
    name, options = cell
    rnn = sn.RNN(name, 3, 4, 2, bidirectional=True, **options)
    _, states = rnn(torch.randn(5, 0, 3))
    output, _ = rnn(torch.randn(5, 0, 3), states)
    assert output.shape == (5, 0, rnn.output_size)


# Copies


def replica_of(module):
    """What DataParallel makes of a module for a device."""
    modules = list(module.modules())
    copies = {id(one): one._replicate_for_data_parallel() for one in modules}
    weights = {id(parameter): parameter * 1 for parameter in module.parameters()}
    for one in modules:
        copy_ = copies[id(one)]
        copy_._former_parameters = {}
        for name, child in one._modules.items():
            copy_._modules[name] = None if child is None else copies[id(child)]
        for name, parameter in one._parameters.items():
            if parameter is not None:
                setattr(copy_, name, weights[id(parameter)])
                copy_._former_parameters[name] = weights[id(parameter)]
    return copies[id(module)]


@pytest.mark.parametrize("cell", ["lstm", "gru", "elman", "mgu", "indrnn"])
@pytest.mark.parametrize("lengths", [None, [5, 3]])
def test_replicas_of_it_learn(cell, lengths):
    rnn = randomise(sn.RNN(cell, 3, 4, 2, batch_first=True).double(), scale=0.5)
    found = []
    for one in (replica_of(rnn), rnn):
        output, _ = one(steps(), lengths=lengths)
        grads = torch.autograd.grad(output.pow(2).sum(), list(rnn.parameters()))
        found.append([output, *grads])
    assert_same(*found, 1e-12)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_an_average_of_weights_follows(kind):
    ours, theirs = pair(kind)
    averages = [
        torch.optim.swa_utils.AveragedModel(
            module, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.5)
        )
        for module in (ours, theirs)
    ]
    for module, average in zip((ours, theirs), averages, strict=True):
        average.update_parameters(module)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.mul_(2)
        average.update_parameters(module)
    assert_same(*(average(steps())[0] for average in averages), 1e-12)


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("lengths", [None, [5, 3]])
def test_it_is_checkpointed(reentrant, lengths):
    rnn = pair("gru", dropout=0.3)[0]
    found = []
    for checkpointed in (False, True):
        x = steps().requires_grad_()
        torch.manual_seed(0)

        def call(x):
            return rnn(x, lengths=lengths)[0]

        if checkpointed:
            output = torch.utils.checkpoint.checkpoint(call, x, use_reentrant=reentrant)
        else:
            output = call(x)
        output.sum().backward()
        found.append([output, x.grad, *(p.grad.clone() for p in rnn.parameters())])
        rnn.zero_grad()
    assert_same(*found, 1e-12)


class Attending(nn.Module):
    """A translator: what it reads is packed, what it writes attends to it, step by step."""

    def __init__(self, make):
        super().__init__()
        self.encoder = make(3, 4, bidirectional=True, batch_first=True)
        self.decoder = make(8 + 3, 8, batch_first=True)

    def forward(self, x, y):
        packed, (h, c) = self.encoder(x)
        memory, lengths = pad_packed_sequence(packed, batch_first=True)
        hidden = torch.arange(memory.shape[1]) >= lengths[:, None]
        state = tuple(one.transpose(0, 1).flatten(1).unsqueeze(0) for one in (h, c))
        outputs = []
        for step in range(y.shape[1]):
            scores = (memory @ state[0][0].unsqueeze(2)).squeeze(2)
            shares = scores.masked_fill(hidden, -torch.inf).softmax(1)
            context = (shares.unsqueeze(1) @ memory).squeeze(1)
            given = torch.cat([context, y[:, step]], 1).unsqueeze(1)
            output, state = self.decoder(given, state)
            outputs.append(output)
        return torch.cat(outputs, 1)


def test_a_translator_with_attention_is_as_before():
    before = randomise(Attending(nn.LSTM).double(), scale=0.3)
    after = Attending(functools.partial(sn.RNN, "lstm")).double()
    after.load_state_dict(before.state_dict())
    found = []
    for model in (before, after, copy.deepcopy(after)):
        output = model(ragged(), steps(3, 4))
        found.append([output, *torch.autograd.grad(output.pow(2).sum(), list(model.parameters()))])
    assert_same(found[1], found[0], 1e-11)
    assert_same(found[2], found[1], 0)
