"""Torch's kernels for recurrent layers, called with a cell's weights.

B: samples, L: steps, N: steps of all, I: input size, H: hidden size, P: output size, D: directions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from structnet.cell.frame import autocast_type
from structnet.data.sequences import Sequences, invert, pack_order
from structnet.execute.torch_layer.counterpart import Counterpart
from structnet.execute.transform import interpreters, is_forward_mode

States = tuple[Tensor, ...]


@dataclass(frozen=True)
class TorchKernel:
    """Layers of a counterpart of torch's with the `weights` of one pass: a dict a cell, by kind.

    Cells go from layer to layer, and within one from direction to direction. States are
    (D * num_layers, B, size).
    """

    counterpart: Counterpart
    weights: Sequence[Mapping[str, Tensor]]
    num_layers: int
    dropout: float
    training: bool

    def run(self, x: Tensor, initial: States, batch_first: bool) -> tuple[Tensor, States]:
        """The output and the final states of padded x, (L, B, I) or (B, L, I)."""
        if self._takes_step(x, batch_first):
            h, states = self._step(x.flatten(0, 1), initial)
            return h.unflatten(0, x.shape[:2]), states
        h, *states = self.counterpart.kernel(x, self._form(initial), *self._stack, batch_first)
        return h, tuple(states)

    def run_packed(self, sequences: Sequences, initial: States) -> tuple[Tensor, States]:
        """The output (N, D * P) and the final states of sequences of any lengths."""
        lengths, device = sequences.lengths, sequences.data.device
        order = torch.tensor(lengths, device="cpu").argsort(descending=True, stable=True)
        index, batch_sizes = pack_order(lengths, order)
        index, inverse, order, back = (
            each.to(device) for each in (index, invert(index), order, invert(order))
        )
        initial = tuple(state.index_select(1, order) for state in initial)
        x = sequences.data.index_select(0, index)
        h, *states = self.counterpart.kernel(x, batch_sizes, self._form(initial), *self._stack)
        return h.index_select(0, inverse), tuple(state.index_select(1, back) for state in states)

    @property
    def _stack(self) -> tuple:
        kinds = [kind for kind in self.counterpart.kinds if kind in self.weights[0]]
        flat = [weights[kind] for weights in self.weights for kind in kinds]
        bidirectional = len(self.weights) > self.num_layers
        has_bias = "bias_ih" in kinds
        return flat, has_bias, self.num_layers, self.dropout, self.training, bidirectional

    def _form(self, states: States) -> Tensor | States:
        # cuDNN takes no others.
        return self.counterpart.form([state.contiguous() for state in states])

    def _takes_step(self, x: Tensor, batch_first: bool) -> bool:
        """Whether it is one step of an LSTM, for which oneDNN packs all weights anew."""
        is_lstm = self.counterpart.module is nn.LSTM and not self.counterpart.is_projected
        is_traced = torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]
        if x.is_cuda or not is_lstm or is_traced:
            return False
        if torch.compiler.is_exporting() or autocast_type(x.device) is not None:
            return False
        return x.shape[int(batch_first)] == 1

    def _step(self, h: Tensor, initial: States) -> tuple[Tensor, States]:
        finals = []
        directions = len(self.weights) // self.num_layers
        for depth in range(self.num_layers):
            new = []
            for cell in range(depth * directions, (depth + 1) * directions):
                before, own = [state[cell] for state in initial], self.weights[cell]
                biases = own.get("bias_ih"), own.get("bias_hh")
                new.append(torch.lstm_cell(h, before, own["weight_ih"], own["weight_hh"], *biases))
            h = torch.cat([states[0] for states in new], dim=1) if directions > 1 else new[0][0]
            if depth < self.num_layers - 1:
                h = F.dropout(h, self.dropout, self.training)
            finals += new
        return h, tuple(map(torch.stack, zip(*finals, strict=True)))


def takes_derivatives() -> bool:
    """Whether the kernels have the derivatives that are at work: those of backward passes."""
    if torch.compiler.is_exporting():
        return True
    return {one.key().name for one in interpreters()} <= {"Grad"} and not is_forward_mode()
