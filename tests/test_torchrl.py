"""TorchRL's tensordicts with any cell: its own LSTM and GRU are the truth; an agent trains."""

import pytest
import torch
from cartpole import cart
from tensordict import TensorDict
from tensordict.nn import TensorDictModule, TensorDictSequential
from torchrl.envs import GymWrapper, InitTracker, TransformedEnv
from torchrl.modules import (
    GRUModule,
    LSTMModule,
    ProbabilisticActor,
    ValueOperator,
    set_recurrent_mode,
)
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

from structnet.plugins.agents.torchrl import RNNModule


def torchrl_module(cell="lstm", size=4, layers=2, **options):
    options = {"in_key": "observation", "out_key": "memory"} | options
    return RNNModule(cell, 3, size, layers, **options)


def library_module(ours):
    kind, name = (LSTMModule, "lstm") if len(ours.sizes) == 2 else (GRUModule, "gru")
    module = ours.rnn.to_torch()
    return kind(in_keys=ours.in_keys, out_keys=ours.out_keys, **{name: module})


def rollout_of(module, *shape):
    """A tensordict with starts within, zero states there, and random ones at the beginning."""
    torch.manual_seed(1)
    starts = torch.rand(*shape, 1) < 0.3
    starts[0, 0] = False
    data = {"observation": torch.randn(*shape, 3), "is_init": starts}
    for key, size in zip(module.in_keys[1:-1], module.sizes, strict=True):
        state = torch.randn(*shape, module.rnn.num_layers, size)
        data[key] = state.masked_fill(starts[..., None], 0)
    return TensorDict(data, shape)


@pytest.mark.parametrize("shape", [(4,), (3, 6), (2, 3, 5)])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("recurrent", [False, True])
def test_a_module_computes_what_torchrls_does(cell, shape, recurrent):
    ours = torchrl_module(cell, **({"reset": "after"} if cell == "gru" else {}))
    data = rollout_of(ours, *shape)
    theirs = library_module(ours)
    with set_recurrent_mode(recurrent):
        assert ours.recurrent_mode is recurrent
        found, expected = (one(data.clone()) for one in (ours, theirs))
    torch.testing.assert_close(found["memory"], expected["memory"])
    last = (..., slice(None) if not recurrent else slice(-1, None), slice(None), slice(None))
    for key in ours.out_keys[1:]:
        torch.testing.assert_close(found[key][last], expected[key][last])
    grads = [
        torch.autograd.grad(one["memory"].square().sum(), list(module.parameters()))
        for one, module in ((found, ours), (expected, theirs))
    ]
    for name, one, other in zip(dict(ours.named_parameters()), *grads, strict=True):
        torch.testing.assert_close(one, other, msg=name)


def test_a_module_is_called_with_tensors_and_tells_its_states():
    module = torchrl_module("slstm", default_recurrent_mode=True)
    assert len(module.in_keys) == len(module.sizes) + 2 and module.recurrent_mode
    data = rollout_of(module, 2, 5)
    whole = module(data.clone())
    parts = module(*(data[key] for key in module.in_keys))
    torch.testing.assert_close(parts[0], whole["memory"])
    primer = module.make_tensordict_primer()
    assert [primer.primers[key].shape for key in module.in_keys[1:-1]] == [
        (2, size) for size in module.sizes
    ]
    with pytest.raises(ValueError, match=r"the states of cell 'gru' are 1"):
        torchrl_module("gru", in_key=None, in_keys=["observation", "h", "c"])
    with pytest.raises(ValueError, match="bidirectional=False"):
        torchrl_module("gru", bidirectional=True)(data)


def agent_of(cell):
    """The environment, and the actor."""
    memory = RNNModule(cell, 2, 8, in_key="observation", out_key="memory")
    env = TransformedEnv(GymWrapper(cart(), categorical_action_encoding=True), InitTracker())
    env.append_transform(memory.make_tensordict_primer())
    env.set_seed(0)
    scores = TensorDictModule(torch.nn.Linear(8, 2), in_keys=["memory"], out_keys=["logits"])
    actor = ProbabilisticActor(
        TensorDictSequential(memory, scores),
        in_keys=["logits"],
        distribution_class=torch.distributions.Categorical,
        return_log_prob=True,
    )
    return env, actor


@pytest.mark.parametrize("cell", ["lstm", "gru", "mingru"])
def test_an_agent_trains_saves_and_loads(cell, tmp_path):
    torch.manual_seed(0)
    env, actor = agent_of(cell)
    critic = ValueOperator(torch.nn.Linear(2, 1), in_keys=["observation"])
    loss = ClipPPOLoss(actor, critic)
    optimizer = torch.optim.Adam(loss.parameters(), 0.01)
    before = [one.detach().clone() for one in actor.parameters()]
    for _ in range(2):
        with torch.no_grad():
            data = env.rollout(80, actor, break_when_any_done=False)
        assert data["is_init"].sum() > 1
        with torch.no_grad():
            GAE(gamma=0.99, lmbda=0.95, value_network=critic)(data)
            # In recurrent mode the policy is the one that acted.
            with set_recurrent_mode(True):
                again = actor(data.clone())["logits"]
        torch.testing.assert_close(again, data["logits"])
        with set_recurrent_mode(True):
            found = loss(data)
        optimizer.zero_grad()
        sum(value for key, value in found.items() if key.startswith("loss_")).backward()
        optimizer.step()
    moved = [not torch.equal(*pair) for pair in zip(actor.parameters(), before, strict=True)]
    assert all(moved) and all(one.isfinite().all() for one in actor.parameters())
    torch.save(actor.state_dict(), tmp_path / "actor.pt")
    _, loaded = agent_of(cell)
    loaded.load_state_dict(torch.load(tmp_path / "actor.pt", weights_only=True))
    with set_recurrent_mode(True):
        torch.testing.assert_close(loaded(data.clone())["logits"], actor(data.clone())["logits"])
