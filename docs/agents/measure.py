"""Learning of sb3-contrib's RecurrentPPO with its own loop over time, and with sn.RNN.

    python docs/agents/measure.py [threads] [cell]

Both policies have the same sizes, and the same weights where the cell is lstm. They read the
batches of one of the library's own rollout buffers, 128 steps of 8 environments, and take turns. A
turn is forward and backward of `evaluate_actions` over all batches of an epoch: the library cuts
the rollout at every start and pads the pieces; "uncut" is a row per environment, with starts
within, as other libraries keep it. Episodes are as long as those of CartPole at the beginning of
training and at its end; observations are random.
"""

import statistics
import sys
import time
from collections.abc import Callable

import gymnasium as gym
import numpy as np
import torch
from sb3_contrib.common.recurrent.buffers import RecurrentRolloutBuffer
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from sb3_contrib.common.recurrent.type_aliases import RNNStates

from structnet.plugins.agents.sb3 import RecurrentPolicy

STEPS, ENVIRONMENTS, FEATURES, SIZE, TURNS = 128, 8, 2, 256, 5
# The shortest and the longest episode.
EPISODES = {"early": (10, 34), "late": (400, 500)}
SPACES = gym.spaces.Box(-1, 1, (FEATURES,), np.float32), gym.spaces.Discrete(2)


def main() -> None:
    threads = int(sys.argv[1]) if sys.argv[1:] else torch.get_num_threads()
    cell = sys.argv[2] if sys.argv[2:] else "lstm"
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    theirs = RecurrentActorCriticPolicy(*SPACES, lambda _: 1e-3, lstm_hidden_size=SIZE)
    ours, compiled = (
        RecurrentPolicy(
            *SPACES, lambda _: 1e-3, cell=cell, lstm_hidden_size=SIZE, lstm_kwargs=options
        )
        for options in ({}, {"executor": "compiled"})
    )
    if cell == "lstm":
        weights = theirs.state_dict()
        for one in (ours, compiled):
            one.load_state_dict({n: weights[n.replace(".rnn.", ".")] for n in one.state_dict()})
    print(f"{threads} threads, {cell}, torch {torch.__version__}")
    print("episodes | batches | theirs, ms | ours, ms | theirs / ours (quartiles)")
    for name, lengths in EPISODES.items():
        starts = starts_of(lengths, np.random.default_rng(0))
        buffer = filled(starts, ours.lstm_actor.hidden_size)
        own = buffer if cell == "lstm" else filled(starts, SIZE)
        for size in (128, STEPS * ENVIRONMENTS):
            pairs = batches_of(own, size), batches_of(buffer, size)
            report(f"{name} | {size} steps", theirs, ours, *pairs)
        pairs = [rollout(starts, size) for size in (SIZE, ours.lstm_actor.hidden_size)]
        report(f"{name} | uncut", theirs, ours, *([one] for one in pairs))
        report(f"{name} | uncut, executor=compiled", theirs, compiled, *([one] for one in pairs))


def starts_of(lengths: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """Where episodes start (STEPS, ENVIRONMENTS), each environment somewhere in its first one."""
    starts = np.zeros((STEPS, ENVIRONMENTS), np.float32)
    for row in range(ENVIRONMENTS):
        step = -int(random.integers(lengths[1]))
        while step < STEPS:
            if step >= 0:
                starts[step, row] = 1
            step += int(random.integers(lengths[0], lengths[1] + 1))
    return starts


def filled(starts: np.ndarray, size: int) -> RecurrentRolloutBuffer:
    """A rollout in the library's buffer, of random observations."""
    shape = STEPS, 1, ENVIRONMENTS, size
    buffer = RecurrentRolloutBuffer(STEPS, *SPACES, shape, "cpu", n_envs=ENVIRONMENTS)
    random = np.random.default_rng(1)
    zeros = torch.zeros(1, ENVIRONMENTS, size)
    for step in range(STEPS):
        buffer.add(
            random.normal(size=(ENVIRONMENTS, FEATURES)),
            random.integers(2, size=ENVIRONMENTS),
            np.zeros(ENVIRONMENTS),
            starts[step],
            torch.zeros(ENVIRONMENTS, 1),
            torch.zeros(ENVIRONMENTS),
            lstm_states=RNNStates((zeros, zeros), (zeros, zeros)),
        )
    return buffer


def batches_of(buffer: RecurrentRolloutBuffer, size: int) -> list[tuple]:
    """What the library gives `evaluate_actions` in an epoch."""
    np.random.seed(0)
    return [
        (data.observations, data.actions.flatten().long(), data.lstm_states, data.episode_starts)
        for data in buffer.get(size)
    ]


def rollout(starts: np.ndarray, size: int) -> tuple:
    """The whole rollout, a row per environment, with the starts within."""
    random = torch.Generator().manual_seed(1)
    count = STEPS * ENVIRONMENTS
    zeros = torch.zeros(1, ENVIRONMENTS, size)
    states = RNNStates((zeros, zeros), (zeros, zeros))
    observations = torch.randn(count, FEATURES, generator=random)
    actions = torch.randint(2, (count,), generator=random)
    return observations, actions, states, torch.as_tensor(starts).T.flatten()


def learning(policy: RecurrentActorCriticPolicy, batches: list[tuple]) -> Callable[[], None]:
    def learn() -> None:
        for batch in batches:
            values, scores, entropy = policy.evaluate_actions(*batch)
            loss = values.square().mean() - scores.mean() - 0.01 * entropy.mean()
            policy.zero_grad()
            loss.backward()

    return learn


def report(name: str, theirs, ours, their_batches: list[tuple], our_batches: list[tuple]) -> None:
    runs = learning(theirs, their_batches), learning(ours, our_batches)
    for run in runs:
        run()
    # Both of a pair are measured at one time, so that the machine's speed cancels.
    pairs = [tuple(seconds_of(run) for run in runs) for _ in range(TURNS)]
    low, middle, high = statistics.quantiles([their / our for their, our in pairs], n=4)
    their, our = (1e3 * statistics.median(one) for one in zip(*pairs, strict=True))
    print(f"{name} | {their:.0f} | {our:.0f} | {middle:.1f} ({low:.1f} to {high:.1f})", flush=True)


def seconds_of(run: Callable[[], None]) -> float:
    """Of the processor where there is one thread, as others may be using it; else by the clock."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    run()
    return clock() - start


if __name__ == "__main__":
    main()
