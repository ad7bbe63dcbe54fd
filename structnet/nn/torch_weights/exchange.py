"""Weights of an RNN, read from torch's modules and written to them."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from structnet.execute.torch_layer.counterpart import Counterpart

ARGUMENTS = (
    "input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional",
)  # fmt: skip


def arguments(module: nn.Module) -> dict[str, Any]:
    """The arguments that an RNN and torch's modules have in common."""
    return {name: getattr(module, name) for name in ARGUMENTS}


def require_counterpart(rnn: Any) -> Counterpart:
    """Torch's module that computes the same; ValueError if there is none."""
    if rnn.counterpart is None:
        raise ValueError(
            f"torch has no module that computes RNN({rnn.extra_repr()}) with its options; it has "
            "lstm, elman, and gru with reset='after', with default options otherwise"
        )
    return rnn.counterpart


def read_weights(rnn: Any, source: nn.Module | Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The state dict of a module, or a given one; ValueError if it does not fit this RNN."""
    state = source.state_dict() if isinstance(source, nn.Module) else source
    squash = require_counterpart(rnn).options.get("nonlinearity")
    if isinstance(source, nn.RNN) and source.nonlinearity != squash:
        raise ValueError(f"nonlinearity is {squash!r} here, {source.nonlinearity!r} there")
    wanted = {name: tuple(value.shape) for name, value in rnn.torch_state_dict().items()}
    if not any("bias" in name for name in state):
        wanted = {name: shape for name, shape in wanted.items() if "bias" not in name}
    given = {name: tuple(value.shape) for name, value in state.items()}
    differing = sorted(
        f"{name} {given.get(name, 'missing')}, here {wanted.get(name, 'none')}"
        for name in given.keys() | wanted.keys()
        if given.get(name) != wanted.get(name)
    )
    if differing:
        raise ValueError(f"the weights don't fit RNN({rnn.extra_repr()}): {'; '.join(differing)}")
    return state


def make_torch(rnn: Any) -> nn.RNNBase:
    """torch's module with the weights of an RNN."""
    counterpart, like = require_counterpart(rnn), next(rnn.parameters())
    module: Any = counterpart.module(
        **arguments(rnn), **counterpart.options, device=like.device, dtype=like.dtype
    )
    module.load_state_dict(rnn.torch_state_dict())
    return module.train(rnn.training)


def flatten(rnn: Any) -> None:
    """`nn.RNNBase.flatten_parameters` for the parameters that an RNN has under torch's names."""
    kinds = rnn.counterpart.kinds
    names = [f"{kind}_{suffix}" for _, suffix, _ in rnn.named_cells() for kind in kinds]
    names = [name for name in names if rnn.bias or not name.startswith("bias")]
    weights = [rnn._parameters.get(name) for name in names]
    own = {name: getattr(rnn, name) for name in (*ARGUMENTS, "mode", "proj_size")}
    nn.RNNBase.flatten_parameters(
        SimpleNamespace(_flat_weights=weights, _flat_weights_names=names, **own)  # pyright: ignore
    )


def read_torch_names(rnn: Any, state_dict: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """In a state dict that is being loaded, replace torch's names by the cells', with one bias."""
    for own, suffix, cell in rnn.named_cells():
        names = {kind: f"{prefix}{kind}_{suffix}" for kind in rnn.counterpart.kinds}
        found = {kind: state_dict[name] for kind, name in names.items() if name in state_dict}
        # torch reports weights that are missing or of another shape.
        with torch.no_grad():
            weights = rnn.counterpart.export(dict(cell.named_parameters()))
        shapes = {kind: value.shape for kind, value in weights.items()}
        fit = {kind: value.shape for kind, value in found.items()} in (
            shapes,
            {kind: shape for kind, shape in shapes.items() if "bias" not in kind},
        )
        if fit:
            for kind in found:
                del state_dict[names[kind]]
            for name, value in rnn.counterpart.adopt(found).items():
                state_dict[f"{prefix}{own}{name}"] = value
