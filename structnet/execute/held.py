"""The tensors that a cell holds, wherever it holds them, and others in their places.

A recurrent weight may be a parameter, or what a wrapper, a hypernetwork or `functional_call`
computed and put there. Where an executor has a backward of its own, it has to know them all:
a tensor that it does not know would lose its gradient.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import parametrize

# What every module has beside its tensors, modules and own attributes.
_OF_MODULES = frozenset(vars(nn.Module()))


class Held:
    """A module's parameters, buffers and other tensors, also those in its lists and dicts.

    `tensors` are all of them, each once; `places` say where they are.
    """

    def __init__(self, module: nn.Module):
        self.module = module
        # The container, the key there and the tensor.
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
        """What parametrizations give under `parametrize.cached`, where it is kept."""
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
        """Within, `others` by the ids of tensors stand in their places."""
        changed = []
        for container, key, tensor in self.places:
            # What was there may be gone, or another be there by now.
            if id(tensor) in others and _has(container, key):
                changed.append((container, key, container[key], others[id(tensor)]))
                container[key] = others[id(tensor)]
        try:
            yield
        finally:
            for container, key, before, other in changed:
                # A hook may have set what it computes in the meantime.
                if _has(container, key) and container[key] is other:
                    container[key] = before


def _has(container: Any, key: Any) -> bool:
    return key < len(container) if isinstance(container, list) else key in container


def ends_graphs(tensor: Tensor) -> bool:
    """Whether graphs of steps may end at a tensor: at a leaf, unless it has hooks.

    They are called wherever a graph ends, and are for the whole gradient.
    """
    return tensor.is_leaf and not tensor._backward_hooks


def stand_ins(tensors: Iterable[Tensor]) -> dict[int, Tensor]:
    """Leaves of the same values, by the tensors' ids."""
    return {id(one): one.detach().requires_grad_(one.requires_grad) for one in tensors}


def leaves_below(outputs: Sequence[Tensor]) -> Iterator[Tensor]:
    """The leaves that outputs were computed from and whose gradients are asked for."""
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


def foreign(tensor: Tensor) -> ValueError:
    """The refusal of a tensor whose gradient would be lost."""
    return ValueError(
        f"the cell uses a tensor {tuple(tensor.shape)} that requires grad and is neither an input "
        "nor held by it; make it a parameter or an attribute of the cell, a state or part of the "
        "input, or call the recurrence with executor='reference'"
    )


def refuse_foreign(outputs: Sequence[Tensor], known: Iterable[Tensor]) -> None:
    """ValueError if outputs depend on leaves that are not known."""
    ids = set(map(id, known))
    for leaf in leaves_below(outputs):
        if id(leaf) not in ids:
            raise foreign(leaf)
