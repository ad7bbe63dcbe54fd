"""Whether all processes have the same data, options and weights to begin with."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import structnet
from structnet.data.batch import Sample, Tokens
from structnet.distributed.world import Elsewhere, World
from structnet.topology.base import Edges

# Of more samples than these, only some are compared, evenly spread.
MANY = 100_000


def check_alike(world: World, prints: Mapping[str, str]) -> None:
    """ValueError that names the processes whose prints differ from the first one's, and in what.

    The first process raises it, the others `Elsewhere`.

    Arguments:
        world: the processes.
        prints: what must be the same everywhere, by what it is of.
    """
    first, *others = world.gather((world.host, dict(prints)))
    differing = {
        rank: [name for name, one in theirs.items() if one != first[1].get(name)]
        for rank, (_, theirs) in enumerate(others, start=1)
    }
    said = [
        f"process {rank} of {world.size} (on {others[rank - 1][0]}) has another {', '.join(names)}"
        for rank, names in differing.items()
        if names
    ]
    if said:
        text = (
            f"{'; '.join(said)} than the first process (on {first[0]}): give all of them the same "
            "files, options and versions"
        )
        raise ValueError(text) if world.is_first else Elsewhere(text)


def print_of_samples(samples: Sequence[Sample]) -> str:
    """A digest of the samples of a split: their inputs, targets and structures."""
    found = sha256(str(len(samples)).encode())
    for index in range(0, len(samples), max(1, len(samples) // MANY)):
        _feed(found, samples[index])
    return found.hexdigest()


def print_of_net(net: nn.Module) -> str:
    """A digest of a net's weights."""
    found = sha256()
    for name, value in net.state_dict().items():
        found.update(name.encode())
        _feed(found, value)
    return found.hexdigest()


def print_of_plain(value: Any) -> str:
    """A digest of plain data."""
    return sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def versions() -> dict[str, str]:
    return {"structnet": structnet.__version__, "torch": torch.__version__}


def _feed(found: Any, value: Any) -> None:
    """Add a sample or a part of one to a digest; objects of other kinds by their type alone."""
    if isinstance(value, Sample):
        for one in (value.structure, value.x, value.y, value.kind, value.condition, value.edge_x):
            _feed(found, one)
        _feed(found, list(value.parts))
    elif isinstance(value, Tokens):
        _feed(found, [value.ids, value.ptr])
    elif isinstance(value, Edges):
        _feed(found, [np.asarray(value.index), value.num_nodes])
    elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
        found.update(f"{value.dtype}{value.shape}".encode())
        found.update(np.ascontiguousarray(value).view(np.uint8).data)
    elif isinstance(value, Tensor):
        _feed(found, value.detach().cpu().reshape(-1).view(torch.uint8).numpy())
    elif isinstance(value, Mapping):
        _feed(found, [(key, value[key]) for key in value])
    elif is_dataclass(value):
        _feed(found, [getattr(value, one.name) for one in fields(value)])
    elif isinstance(value, list | tuple):
        for one in value:
            _feed(found, one)
    else:
        is_plain = isinstance(value, int | float | str | None | np.generic)
        found.update((repr(value) if is_plain else type(value).__name__).encode())
