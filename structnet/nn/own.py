"""A net that was given in Python, as an nn.Module."""

from typing import Any

from torch import nn

from structnet.registry import nets


@nets.register("module")
class Module(nn.Module):
    """An nn.Module that `sn.fit` was given, called with a `Batch`; no configuration makes it.

    Arguments:
        of: the name of its class.
    """

    is_recurrent = False

    def __init__(
        self, sizes: Any, topology: Any, cell: Any, readout: Any, head: Any, *, of: str = ""
    ):
        raise ValueError(
            f"net=module is an nn.Module made in Python{f', {of}' if of else ''}, which no "
            "configuration builds: give it in Python, as sn.fit(task, net) to train it, and as "
            "sn.Run.load(DIR, net=net) to load its weights"
        )
