"""The layers of a net of chains as one module of torch: nn.LSTM, nn.GRU or nn.RNN."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from structnet.execute.torch_layer.counterpart import Counterpart, find_counterpart
from structnet.nn.apart import Apart
from structnet.nn.net import Net


def find_torch(
    net: Net, cell: Mapping[str, Any], ways: Mapping[str, str] | None
) -> Counterpart | str:
    """How torch lays the weights out, or why it has no module for a net.

    Arguments:
        net: the net.
        cell: its cell's name and options, as a run's configuration has them.
        ways: whether each direction reads forward or backward; None where they are not chains.
    """
    if ways is None or list(ways.values()) not in (["forward"], ["forward", "backward"]):
        return "torch has layers of chains alone, forward or in both directions"
    if isinstance(net.stack, Apart) or net.stack.skip != "none":
        return "torch has no layers with net.apart or net.skip"
    if net.layers[0].noise.zoneout:
        return "torch has no layers with net.zoneout"
    options = {name: value for name, value in cell.items() if name != "name"}
    found = find_counterpart(cell["name"], options)
    if found is None:
        return (
            f"torch has no layer that computes cell {cell['name']!r} with its options; it has "
            "lstm, elman, and gru with reset='after', with default options otherwise"
        )
    return found


def torch_layer(net: Net, found: Counterpart) -> tuple[nn.RNNBase, dict[str, Any]]:
    """The module with the net's weights, and how it is made: its name and arguments."""
    first: Any = net.layers[0]
    options = {
        "input_size": first.input_size,
        "hidden_size": first.cells[0].hidden_size,
        "num_layers": len(net.layers),
        "bidirectional": len(first.cells) > 1,
        **found.options,
    }
    module = found.module(**options)
    module.load_state_dict(torch_weights(net.layers, found))
    made = {"module": type(module).__name__, "options": options}
    return module.eval(), made


def torch_weights(layers: Sequence[Any], found: Counterpart) -> dict[str, Tensor]:
    """The weights of all layers by torch's names."""
    weights = {}
    for depth, layer in enumerate(layers):
        for cell, end in zip(layer.cells, ("", "_reverse"), strict=False):
            with torch.no_grad():
                kinds = found.export(dict(cell.named_parameters()))
            weights |= {f"{kind}_l{depth}{end}": one.clone() for kind, one in kinds.items()}
    return weights
