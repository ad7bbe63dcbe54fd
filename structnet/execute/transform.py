"""Transformations of torch.func and forward-mode derivatives, which only plain autograd has.

Torch tells of these through private parts alone, all of which the executors find here.
"""

import warnings
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

WAY_OUT = "call the recurrence with executor='reference'"


def private(module: str, name: str, otherwise: Callable[..., Any]) -> Callable[..., Any]:
    """A private function of torch; in a version that has none, with a warning, another one."""
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError):
        warnings.warn(
            f"torch {torch.__version__} has no {module}.{name}, by which structnet notices vmap, "
            f"jvp and retained graphs; {WAY_OUT} where you need them",
            stacklevel=2,
        )
        return otherwise


interpreters = private("torch._functorch.pyfunctorch", "retrieve_all_functorch_interpreters", list)
is_batch = private("torch._C._functorch", "is_legacy_batchedtensor", lambda tensor: False)
# Whether the running backward pass was asked to retain the graph.
keeps_graph = private("torch._C._autograd", "_get_current_graph_task_keep_graph", lambda: True)


dispatch_mode = private("torch.utils._python_dispatch", "_get_current_dispatch_mode", bool)


def is_forward_mode() -> bool:
    """Whether a forward-mode derivative is at work."""
    return getattr(forward_ad, "_current_level", -1) >= 0


def is_transformed() -> bool:
    """Whether vmap, grad or another transformation, or a forward-mode derivative is at work."""
    return bool(interpreters()) or is_forward_mode()


def refuse_batches(grads: Iterable[Tensor | None]) -> None:
    """RuntimeError in a backward pass of several gradients at a time."""
    if any(one is not None and is_batch(one) for one in grads) or is_transformed():
        raise RuntimeError(
            "this executor takes no batches of gradients (is_grads_batched, vectorize=True, vmap "
            f"over a backward pass); {WAY_OUT} where you need them"
        )
