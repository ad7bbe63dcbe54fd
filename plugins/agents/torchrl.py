"""A module for TorchRL that remembers by any cell, called like its LSTMModule."""

from typing import Any

from torch import Size, Tensor
from torch.nn.functional import pad

import structnet as sn

try:
    from tensordict import TensorDictBase, unravel_key_list
    from tensordict.nn import TensorDictModuleBase, dispatch
    from torchrl.data import Unbounded
    from torchrl.envs import TensorDictPrimer
    from torchrl.modules import recurrent_mode
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "modules of TorchRL need torchrl, which is not installed: pip install -e '.[torchrl]'"
    ) from error


class RNNModule(TensorDictModuleBase):
    """An sn.RNN over tensordicts: one step where an agent acts, (..., steps) in recurrent mode.

    States (..., num_layers, size) are zero where `is_init`. In recurrent mode a row starts from
    those of its first step, and the new ones are those of its last, zero elsewhere.

    Arguments:
        cell: as in `sn.RNN`, as are the sizes, the number of layers and the options.
        in_keys: of the input, of every state of the cell, and is_init, which is added if missing.
        out_keys: of the output, and of every new state, as ("next", key).
        in_key, out_key: of these alone; states are recurrent_state, or recurrent_state_0 and so on.
        default_recurrent_mode: the mode outside of `torchrl.modules.set_recurrent_mode`.
    """

    def __init__(
        self, cell: Any, input_size: int, hidden_size: int, num_layers: int = 1, *,
        in_key: Any = None, in_keys: Any = None, out_key: Any = None, out_keys: Any = None,
        default_recurrent_mode: bool = False, **options: Any,
    ):  # fmt: skip
        """ValueError for what `sn.RNN` rejects, and for keys that do not fit the states."""
        super().__init__()
        self.default_recurrent_mode = default_recurrent_mode
        self.rnn = sn.RNN(cell, input_size, hidden_size, num_layers, **options, batch_first=True)
        self.sizes = self.rnn.layers[0].cells[0].state_sizes
        names = [f"recurrent_state_{i}" for i in range(len(self.sizes))]
        names = names if len(names) > 1 else ["recurrent_state"]
        self.in_keys: Any = unravel_key_list(in_keys or [in_key, *names])
        self.out_keys: Any = unravel_key_list(out_keys or [out_key, *(("next", n) for n in names)])
        self.in_keys += [] if self.in_keys[-1] == "is_init" else ["is_init"]
        if (len(self.in_keys) - 2, len(self.out_keys) - 1) != (len(names), len(names)):
            raise ValueError(
                f"the states of cell {cell!r} are {len(names)}: in_keys are [input, *states, "
                f"'is_init'], out_keys [output, *states], got {self.in_keys} and {self.out_keys}"
            )

    @property
    def recurrent_mode(self) -> bool:
        mode = recurrent_mode()
        return self.default_recurrent_mode if mode is None else mode

    @dispatch()
    def forward(self, tensordict: TensorDictBase) -> TensorDictBase:
        steps = tensordict.shape[-1] if self.recurrent_mode else 1
        rows = tensordict.select(*self.in_keys, strict=False).reshape(-1, steps)
        x, starts = rows[self.in_keys[0]], rows[self.in_keys[-1]].flatten(1)
        given = [rows.get(key, None) for key in self.in_keys[1:-1]]
        states = [one[:, 0].transpose(0, 1) for one in given if one is not None]
        output, found = self.rnn(x, states or None, episode_starts=starts)
        found = (found,) if isinstance(found, Tensor) else found
        last = [pad(s.transpose(0, 1).unsqueeze(1), (0, 0, 0, 0, steps - 1, 0)) for s in found]
        for key, value in zip(self.out_keys, [output, *last], strict=True):
            tensordict.set(key, value.reshape(*tensordict.shape, *value.shape[2:]))
        return tensordict

    def make_tensordict_primer(self) -> TensorDictPrimer:
        """The transform by which an environment keeps the states, zero at first."""
        keys = zip(self.in_keys[1:-1], self.sizes, strict=True)
        specs = {key: Unbounded(Size([self.rnn.num_layers, size])) for key, size in keys}
        return TensorDictPrimer(specs, expand_specs=True)
