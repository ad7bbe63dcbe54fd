"""The net of a run with its saved weights, which are checked before use."""

from collections.abc import Callable

from safetensors import SafetensorError
from safetensors.torch import load
from torch import nn

from structnet.run.manifest import Damaged, Manifest
from structnet.run.size import refuse_other_size, without_memory
from structnet.system.words import command_line


def read_net(manifest: Manifest, build: Callable[[], nn.Module]) -> nn.Module:
    """The net that `build` makes, with the weights of a run, in evaluation mode.

    ValueError for a net that can't be built, and for other weights than its own. A net with more
    entries than the file is not built.
    """
    directory = manifest.directory
    weights = directory / "model.safetensors"
    try:
        data = manifest.read(weights.name)
        sized = without_memory(build)
    except Damaged as error:
        raise ValueError(
            f"{error}; write it again with: {command_line('train', f'resume={directory}')}"
        ) from error
    except ValueError as error:
        raise ValueError(f"{directory / 'config.yaml'}: {error}") from error
    try:
        if sized is not None:
            refuse_other_size(sized, weights)
        net = build()
        net.load_state_dict(load(data))
    except (SafetensorError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{weights} does not hold this net's weights: {reason}") from error
    return net.eval()
