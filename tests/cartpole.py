"""CartPole without velocities, for the tests of agents: only memory tells where the pole goes."""

import gymnasium as gym
import numpy as np


class Masked(gym.ObservationWrapper):
    def __init__(self, env):
        super().__init__(env)
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)

    def observation(self, observation):
        return observation[[0, 2]]


def cart():
    """Places of the cart and of the pole, no velocities."""
    return Masked(gym.make("CartPole-v1"))
