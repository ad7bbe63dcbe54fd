"""One step of an RNN, as an agent or a stream takes it: one call of each cell, without a plan.

B: samples, I: input size, D: directions, S: size of a state.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from structnet.cell.call import States, call
from structnet.cell.frame import NOTHING, Frame, first_parameter
from structnet.cell.hooks import KINDS, compute_weights, has_global_hooks
from structnet.execute.transform import is_transformed
from structnet.nn.recurrence import Recurrence

ALONE = Frame(alone=True)


def is_one_step(rnn: Any, input: Any) -> bool:
    """Whether an input (1, B, I), or (B, 1, I), is one step that layers would add nothing to."""
    if not isinstance(input, Tensor) or input.is_nested or input.dim() != 3:
        return False
    if rnn.is_torch_form or input.shape[rnn.batch_first] != 1 or not input.shape[2]:
        return False
    return all(map(_is_plain, rnn.layers)) and not (has_global_hooks() or is_transformed())


def _is_plain(layer: Any) -> bool:
    own = vars(layer)
    if type(layer) is not Recurrence or "forward" in own:
        return False
    noise = any(vars(own["noise"]).values())
    has_hooks = any(own[kind] for kind in KINDS)
    return own["executor"] == "auto" and not (noise or has_hooks or layer.observer)


def run_one_step(rnn: Any, x: Tensor, initial: States | None) -> tuple[Tensor, States]:
    """The output (B, D * P) and the states (D * num_layers, B, S) after a step (B, I)."""
    found: list[States] = []
    dtype = first_parameter(rnn, x).dtype
    for depth, layer in enumerate(rnn.layers):
        outputs = []
        x = F.dropout(x, rnn.dropout, rnn.training) if depth else x
        for cell in layer.cells:
            before = None if initial is None else [state[len(found)] for state in initial]
            output, states = _step(cell, x, before, dtype)
            outputs.append(output)
            found.append(states)
        x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)
    return x, tuple(torch.stack(states) for states in zip(*found, strict=True))


def _step(
    cell: Any, x: Tensor, before: list[Tensor] | None, dtype: torch.dtype
) -> tuple[Tensor, States]:
    """A cell's output and its states, one sample per node."""
    compute_weights(cell)
    z = cell.project(x)
    around = ALONE if before is None else NOTHING
    if before is None:
        before = [x.new_zeros(len(x), size, dtype=dtype) for size in cell.state_sizes]
    states = call(cell, z, *(state.unsqueeze(1) for state in before), around=around)
    states = tuple(state.to(dtype) for state in states)
    return cell.output(z, *states), states
