"""A policy for sb3-contrib's RecurrentPPO that remembers by any cell.

B: rows (environments in acting, sequences in learning), T: steps, F: features.
"""

from typing import Any

import torch
from torch import Tensor, nn

import structnet as sn

try:
    from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "policies of RecurrentPPO need sb3-contrib, which is not installed: pip install -e '.[sb3]'"
    ) from error

Pair = tuple[Tensor, Tensor]


class Memory(nn.Module):
    """An sn.RNN with the two states of an nn.LSTM, which the library's rollout buffers keep.

    The states of its cell are side by side, cut into two tensors (layers, B, hidden_size).
    """

    def __init__(self, cell: Any, input_size: int, size: int, num_layers: int, options: dict):
        super().__init__()
        self.rnn = sn.RNN(cell, input_size, size, num_layers, **options, batch_first=True)
        self.sizes = self.rnn.layers[0].cells[0].state_sizes
        self.num_layers, self.hidden_size = num_layers, (sum(self.sizes) + 1) // 2

    def forward(self, x: Tensor, pair: Pair, starts: Tensor) -> tuple[Tensor, Pair]:
        """The output (B, T, size) and the states, for x (B, T, F) and episode starts (B, T)."""
        states = torch.cat(pair, dim=-1)[..., : sum(self.sizes)].split(self.sizes, dim=-1)
        output, found = self.rnn(x, states, episode_starts=starts)
        whole = found if isinstance(found, Tensor) else torch.cat(found, dim=-1)
        whole = nn.functional.pad(whole, (0, 2 * self.hidden_size - whole.shape[-1]))
        return output, (whole[..., : self.hidden_size], whole[..., self.hidden_size :])


class RecurrentPolicy(RecurrentActorCriticPolicy):
    """The policy of sb3-contrib with `sn.RNN`s for the LSTMs of actor and critic.

    Arguments:
        cell: as in `sn.RNN`, of `lstm_hidden_size` units in `n_lstm_layers` layers.
        lstm_kwargs: the options of `sn.RNN` and of the cell.
        given, options: what sb3-contrib's policy takes, such as features_extractor_class.
    """

    def __init__(self, *given: Any, cell: Any = "lstm", lstm_kwargs: Any = None, **options: Any):
        """ValueError or KeyError for what `sn.RNN` rejects."""
        size, layers = options.pop("lstm_hidden_size", 256), options.get("n_lstm_layers", 1)
        own = dict(lstm_kwargs or {})
        self._memory = {"cell": cell, "size": size, "num_layers": layers, "options": own}
        output_size = sn.RNN(cell, 1, size, layers, **own).output_size
        super().__init__(*given, lstm_hidden_size=output_size, **options)
        self.lstm_actor: Any = Memory(input_size=self.features_dim, **self._memory)
        self.lstm_hidden_state_shape = (layers, 1, self.lstm_actor.hidden_size)
        if self.lstm_critic is not None:
            self.lstm_critic = Memory(input_size=self.features_dim, **self._memory)
        settings = {"lr": self.optimizer.param_groups[0]["lr"], **self.optimizer_kwargs}
        self.optimizer = self.optimizer_class(self.parameters(), **settings)

    @staticmethod
    def _process_sequence(
        features: Tensor, lstm_states: Pair, episode_starts: Tensor, lstm: Any
    ) -> tuple[Tensor, Pair]:
        rows = lstm_states[0].shape[1]
        starts = episode_starts.reshape(rows, -1)
        output, states = lstm(features.unflatten(0, (rows, -1)), lstm_states, starts)
        return output.flatten(0, 1), states

    def _get_constructor_parameters(self) -> dict[str, Any]:
        names = ("cell", "lstm_hidden_size", "n_lstm_layers", "lstm_kwargs")
        own = dict(zip(names, self._memory.values(), strict=True))
        critic = {"shared_lstm": self.shared_lstm, "enable_critic_lstm": self.enable_critic_lstm}
        return super()._get_constructor_parameters() | own | critic
