"""RecurrentPPO of sb3-contrib with any cell: it acts as it learns, trains, saves and loads."""

import numpy as np
import pytest
import torch
from cartpole import cart
from conftest import assert_same, randomise
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.env_util import make_vec_env

from structnet.plugins.agents.sb3 import RecurrentPolicy

# torch says so of its own module.
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported:UserWarning")


def ppo(cell="gru", seed=0, policy_kwargs=None, **options):
    sizes = {"lstm_hidden_size": 16, "net_arch": []}
    return RecurrentPPO(
        RecurrentPolicy,
        make_vec_env(cart, 4, seed=seed),
        n_steps=32,
        batch_size=64,
        n_epochs=2,
        seed=seed,
        device="cpu",
        policy_kwargs={"cell": cell, **sizes, **(policy_kwargs or {})},
        **options,
    )


def weights_of(module):
    return {name: weight.detach().clone() for name, weight in module.named_parameters()}


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        ("lstm", {}),
        ("lstm", {"lstm_kwargs": {"projection_size": 5}, "enable_critic_lstm": False}),
        ("gru", {"lstm_kwargs": {"reset": "after"}, "n_lstm_layers": 2}),
        ("elman", {"shared_lstm": True, "enable_critic_lstm": False, "lstm_hidden_size": 7}),
        ("slstm", {"lstm_kwargs": {"zoneout": 0.1}}),
        ("mingru", {}),
    ],
)
def test_recurrent_ppo_trains_saves_and_loads(cell, options, tmp_path):
    model = ppo(cell, policy_kwargs=options)
    before = weights_of(model.policy)
    model.learn(2 * 4 * 32)
    after = weights_of(model.policy)
    still = [n for n in before if torch.equal(before[n], after[n])]
    assert not still and all(one.isfinite().all() for one in after.values())
    model.save(tmp_path / "agent.zip")
    loaded = type(model).load(tmp_path / "agent.zip", device="cpu")
    observation, states = model.env.reset(), [None, None]
    starts = np.ones(4, bool)
    for _ in range(3):
        found = []
        for i, one in enumerate((model, loaded)):
            action, states[i] = one.predict(observation, states[i], starts, deterministic=True)
            found.append(action)
        assert np.array_equal(*found)
        np.testing.assert_array_equal(states[0], states[1])
        observation, _, starts, _ = model.env.step(found[0])


def test_the_policy_alone_saves_and_loads(tmp_path):
    policy = ppo("gru", policy_kwargs={"n_lstm_layers": 2, "net_arch": None}).policy
    policy.save(tmp_path / "policy.pt")
    loaded = type(policy).load(tmp_path / "policy.pt", device="cpu")
    assert_same(weights_of(loaded), weights_of(policy))


def library_policy(model):
    """The library's own policy with its LSTM, of the weights of ours in an LSTM."""
    ours = model.policy
    theirs = RecurrentActorCriticPolicy(
        ours.observation_space, ours.action_space, lambda _: 1e-3, [], lstm_hidden_size=16
    )
    state = {name.replace(".rnn.", "."): value for name, value in ours.state_dict().items()}
    theirs.load_state_dict(state)
    return theirs


def test_an_lstm_is_the_librarys_own_in_acting_and_in_learning():
    model = ppo("lstm")
    randomise(model.policy)
    model.learn(4 * 32)
    theirs = library_policy(model)
    both = model.policy, theirs
    for data in model.rollout_buffer.get(50):
        given = data.observations, data.actions.flatten(), data.lstm_states, data.episode_starts
        assert data.episode_starts.any()
        found, expected = (one.evaluate_actions(*given) for one in both)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    observation, starts = model.env.reset(), np.array([True, False, False, True])
    states = [(np.ones((1, 4, 16), np.float32),) * 2] * 2
    pairs = [p.predict(observation, s, starts) for p, s in zip(both, states, strict=True)]
    np.testing.assert_allclose(pairs[0][1], pairs[1][1], rtol=1e-4, atol=1e-5)


def test_an_agent_that_reads_ahead_is_refused():
    with pytest.raises(ValueError, match="bidirectional=False"):
        ppo("gru", policy_kwargs={"lstm_kwargs": {"bidirectional": True}}).learn(1)
    with pytest.raises(KeyError, match="gruu"):
        ppo("gruu")
