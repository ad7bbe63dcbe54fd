"""Transformations of torch.func and forward-mode derivatives, which only plain autograd has."""

from collections.abc import Iterable

from torch import Tensor
from torch._C._functorch import is_legacy_batchedtensor
from torch._functorch.pyfunctorch import retrieve_all_functorch_interpreters
from torch.autograd import forward_ad

WAY_OUT = "call the recurrence with executor='reference'"


def is_transformed() -> bool:
    """Whether vmap, grad or another transformation, or a forward-mode derivative is at work."""
    return bool(retrieve_all_functorch_interpreters()) or forward_ad._current_level >= 0


def refuse_batches(grads: Iterable[Tensor | None]) -> None:
    """RuntimeError in a backward pass of several gradients at a time."""
    if any(one is not None and is_legacy_batchedtensor(one) for one in grads) or is_transformed():
        raise RuntimeError(
            "this executor takes no batches of gradients (is_grads_batched, vectorize=True, vmap "
            f"over a backward pass); {WAY_OUT} where you need them"
        )
