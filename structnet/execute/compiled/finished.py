"""Programs as they are kept on disk: what runs their levels, without what it was made from."""

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, fx

from structnet.execute.compiled.operations import Operations
from structnet.execute.compiled.signature import Product

if TYPE_CHECKING:
    from structnet.execute.compiled.program import Program


class Lists(NamedTuple):
    """The operations of a program, as `Recipe` has them."""

    work: int
    forward: Operations
    again: Operations
    backward: Operations | None


class Facts(NamedTuple):
    """Which gradients a program's backward pass writes, as `Backward` has them."""

    dead: list[bool]
    shared: int | None
    writes_z: bool
    learns: set[int]


class Finished:
    """A program that was read; its levels run as those of the program that was stored.

    Arguments:
        found: what `as_json` returned.
        libraries: the compiled functions that its operations call.

    KeyError, TypeError, ValueError or AttributeError where something else was stored.
    """

    def __init__(self, found: dict[str, Any], libraries: Sequence[ctypes.CDLL]):
        self.products = [_product(*one) for one in found["products"]]
        self.num_states = int(found["num_states"])
        self.counts = int(found["counts"])
        self.steps, self.out = found["steps"], [int(one) for one in found["out"]]
        lists = [None if one is None else Operations.from_json(one) for one in found["lists"]]
        for one in lists:
            if one is not None:
                one.link(libraries)
        forward, again, backward = lists
        if forward is None or again is None:
            raise ValueError("a pass forward is missing")
        self.recipe = Lists(int(found["work"]), forward, again, backward)
        self.learns = backward is not None
        dead, shared, writes_z, learns = found["backward"] or ([], None, False, [])
        self.backward = Facts(dead, shared, writes_z, set(learns))

    def weigh(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """The matrices of the products, computed from the cell's tensors."""
        nothing = [None] * (1 + self.num_states)
        return run_steps(self.steps, self.out, [*nothing, *tensors, *[None] * self.counts])


def as_json(program: "Program", learns: bool) -> dict[str, Any] | None:
    """A program as numbers and texts; None where it is more than that.

    Arguments:
        program: one that has been prepared.
        learns: whether with its derivatives.
    """
    recipe, backward = program.recipe, None
    if not recipe or (learns and recipe.backward is None):
        return None
    if learns:
        back = program.backward
        backward = [back.dead, back.shared, back.writes_z, sorted(back.learns)]
    lists = [recipe.forward, recipe.again, recipe.backward if learns else None]
    try:
        steps, out = steps_of(program.weights)
    except TypeError:
        return None
    return {
        "products": [
            [one.inner, one.columns, _name(one.dtype), one.per_slot, one.state]
            for one in program.products
        ],
        "num_states": program.num_states,
        "counts": len(program.trace.counts),
        "steps": steps,
        "out": out,
        "work": recipe.work,
        "lists": [one and one.as_json() for one in lists],
        "backward": backward,
    }


def run_steps(steps: Sequence[Any], out: Sequence[int], given: Sequence[Any]) -> list[Any]:
    """What `steps_of` returned on values, of which `{"value": i}` stands for the i-th."""
    values = [*given]

    def put(one: Any) -> Any:
        if isinstance(one, list):
            return [put(each) for each in one]
        return values[one["value"]] if isinstance(one, dict) else one

    for name, args, kwargs in steps:
        operation, kind = name.split(".")
        function = getattr(getattr(torch.ops.aten, operation), kind)
        values.append(function(*map(put, args), **{key: put(one) for key, one in kwargs.items()}))
    return [values[one] for one in out]


def steps_of(graph: fx.GraphModule) -> tuple[list[Any], list[int]]:
    """A graph as operations of torch and which values it returns; TypeError where it is more."""
    places: dict[fx.Node, int] = {}
    steps = []

    def plain(one: Any) -> Any:
        if isinstance(one, fx.Node):
            return {"value": places[one]}
        if isinstance(one, list | tuple):
            return [plain(each) for each in one]
        if one is None or type(one) in (bool, int, float, str):
            return one
        raise TypeError(f"{one} can't be stored")

    for node in graph.graph.nodes:
        if node.op == "output":
            return steps, [places[one] for one in node.args[0]]
        if node.op == "call_function":
            if getattr(node.target, "namespace", None) != "aten":
                raise TypeError(f"{node.target} can't be stored")
            options = {name: plain(one) for name, one in node.kwargs.items()}
            steps.append([node.target.__name__, plain(node.args), options])
        elif node.op != "placeholder":
            raise TypeError(f"{node.op} can't be stored")
        places[node] = len(places)
    raise TypeError("nothing is returned")


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _product(inner: int, columns: int, dtype: str, per_slot: bool, state: int | None) -> Product:
    found = getattr(torch, dtype)
    if not isinstance(found, torch.dtype):
        raise ValueError(f"{dtype!r} is not the name of a torch dtype")
    return Product(int(inner), int(columns), found, bool(per_slot), state)
