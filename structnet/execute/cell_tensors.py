"""The tensors that a cell holds, and replacing them for a while.

A recurrent weight may be a parameter, or computed by a wrapper, a hypernetwork or
`functional_call`. An executor with a backward of its own has to know all of them: a tensor that it
does not know would lose its gradient.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import parametrize

# The attributes that every module has.
_OF_MODULES = frozenset(vars(nn.Module()))


class CellTensors:
    """A module's parameters, buffers and other tensors, also those in its lists and dicts.

    `tensors` has each of them once, `places` all containers and keys where they are found.
    """

    def __init__(self, module: nn.Module):
        self.module = module
        self.places: list[tuple[Any, Any, Tensor]] = []
        self._seen: set[int] = set()
        self._add(module)
        self.tensors = list({id(one): one for _, _, one in self.places}.values())

    def _add(self, value: Any) -> None:
        if id(value) in self._seen:
            return
        self._seen.add(id(value))
        if isinstance(value, nn.Module):
            own = vars(value)
            self._add_items(value._parameters, value._parameters.items())
            self._add_items(value._buffers, value._buffers.items())
            if getattr(parametrize, "_cache_enabled", 0) and parametrize.is_parametrized(value):
                self._add_cached(value)
            self._add_items(own, [(name, own[name]) for name in own.keys() - _OF_MODULES])
            for child in value._modules.values():
                self._add(child)
        elif isinstance(value, list):
            self._add_items(value, enumerate(value))
        else:
            self._add_items(value, value.items())

    def _add_cached(self, module: Any) -> None:
        """The results of parametrizations under `parametrize.cached`."""
        for name in module.parametrizations:
            value = getattr(module, name)
            self.places.append((parametrize._cache, (id(module), name), value))

    def _add_items(self, container: Any, items: Iterable[tuple[Any, Any]]) -> None:
        for key, value in items:
            if isinstance(value, Tensor):
                self.places.append((container, key, value))
            elif isinstance(value, nn.Module | list | dict):
                self._add(value)

    @contextmanager
    def replaced(self, others: Mapping[int, Tensor]) -> Iterator[None]:
        """A context in which `others`, by the ids of tensors, replace these."""
        changed = []
        for container, key, tensor in self.places:
            # The place may be empty, or hold another tensor by now.
            if id(tensor) in others and _has(container, key):
                changed.append((container, key, container[key], others[id(tensor)]))
                container[key] = others[id(tensor)]
        try:
            yield
        finally:
            for container, key, before, other in changed:
                # A hook may have set a tensor in the meantime.
                if _has(container, key) and container[key] is other:
                    container[key] = before


def _has(container: Any, key: Any) -> bool:
    return key < len(container) if isinstance(container, list) else key in container


def is_plain_leaf(tensor: Tensor) -> bool:
    """Whether it is a leaf without hooks, which would be called with parts of its gradient."""
    return tensor.is_leaf and not tensor._backward_hooks


def leaf_copies(tensors: Iterable[Tensor]) -> dict[int, Tensor]:
    """Leaves of the same values, by the ids of the tensors."""
    return {id(one): one.detach().requires_grad_(one.requires_grad) for one in tensors}


def leaves_of(outputs: Sequence[Tensor]) -> Iterator[Tensor]:
    """The leaves that require gradients and that outputs were computed from."""
    nodes = [one.grad_fn for one in outputs if one.grad_fn is not None]
    yield from (one for one in outputs if one.grad_fn is None and one.requires_grad)
    seen = set(nodes)
    while nodes:
        node = nodes.pop()
        for below, _ in node.next_functions:
            if below is not None and below not in seen:
                seen.add(below)
                nodes.append(below)
        if (leaf := getattr(node, "variable", None)) is not None:
            yield leaf


def unknown_tensor(tensor: Tensor) -> ValueError:
    """The error for a tensor whose gradient would be lost."""
    return ValueError(
        f"the cell uses a tensor {tuple(tensor.shape)} that requires grad and is neither an input "
        "nor held by it; make it a parameter or an attribute of the cell, a state or part of the "
        "input, or call the recurrence with executor='reference'"
    )


def check_leaves(outputs: Sequence[Tensor], known: Iterable[Tensor]) -> None:
    """Raises ValueError if outputs depend on other leaves than the known ones."""
    ids = set(map(id, known))
    for leaf in leaves_of(outputs):
        if id(leaf) not in ids:
            raise unknown_tensor(leaf)
