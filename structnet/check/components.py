"""The checks of a cell, a topology and an executor."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from structnet import registry
from structnet.check.card import Card, Failed, NotFor
from structnet.check.layers import (
    equals_reference,
    every_executor,
    floor_ratio,
    goes_deep,
    ignores_order,
    is_saved,
    make_layer,
    passes_gradcheck,
    repeats_itself,
    takes_few_nodes,
)
from structnet.check.plans import SIZES, plans_as_alone
from structnet.nn.recurrence import Recurrence
from structnet.registry.signature import REQUIRED
from structnet.run.components import component, create

Config = Mapping[str, Any]
Layers = Mapping[str, Callable[[], Recurrence]]
# A topology for each way to read predecessors: one, two slots, any number, three slots.
TOPOLOGIES = {
    "chain": {"name": "chain"},
    "tree": {"name": "tree"},
    "tree arity=null": {"name": "tree", "arity": None},
    "row": {"name": "row"},
    "graph": {"name": "graph"},
}
CELLS = {"elman": {"name": "elman"}, "gru": {"name": "gru"}, "lstm": {"name": "lstm"}}
# Of these the time is measured.
TIMED = ("chain", "tree")
# What a quick check leaves out: an executor that takes long to compile, and two checks.
LEFT_OUT = ("compiled", "depth", "time")


def check_cell(cell: Config, depth: int, quick: bool = False) -> Card:
    """All checks of a cell, on topologies of every kind; if `quick`, but those of LEFT_OUT."""
    card, make = Card("cell", dict(cell), _left_out(quick)), component(registry.cells, cell)
    made = {name: create(registry.topologies, one) for name, one in TOPOLOGIES.items()}

    def layers(choice: Config) -> Layers:
        chosen = component(registry.cells, choice)
        return {at: partial(make_layer, one, chosen) for at, one in made.items()}

    _check_made(card, registry.cells, cell, layers)
    for name, topology in made.items():
        if not card.check("a layer", name, lambda t=topology: _sizes(make_layer(t, make))):
            continue
        _check_layer(card, name, topology, make)
        if name in TIMED and not quick:
            chosen = TOPOLOGIES[name]
            card.check("depth", name, lambda t=topology: goes_deep(t, make, depth))
            card.check("time", name, lambda c=chosen: floor_ratio(c, cell), "measured")
    return card


def check_topology(topology: Config, depth: int, quick: bool = False) -> Card:
    """All checks of a topology, under cells of different kinds; if `quick`, as of a cell."""
    card = Card("topology", dict(topology), _left_out(quick))
    cells = {name: component(registry.cells, one) for name, one in CELLS.items()}

    def layers(choice: Config) -> Layers:
        make = partial(create, registry.topologies, choice)
        return {at: lambda c=cell: make_layer(make(), c) for at, cell in cells.items()}

    if not _check_made(card, registry.topologies, topology, layers):
        return card
    made = create(registry.topologies, topology)
    card.check("plans", f"sizes up to {max(SIZES)}", lambda: plans_as_alone(made))
    for name, cell in cells.items():
        if card.check("a layer", name, lambda c=cell: _sizes(make_layer(made, c))):
            _check_layer(card, name, made, cell)
    if quick:
        return card
    lstm = component(registry.cells, CELLS["lstm"])
    card.check("depth", "lstm", lambda: goes_deep(made, lstm, depth))
    card.check("time", "lstm", lambda: floor_ratio(topology, CELLS["lstm"]), "measured")
    return card


def check_executor(executor: Config) -> Card:
    """The checks of an executor, for cells on topologies of every kind."""
    card, name = Card("executor", dict(executor)), executor["name"]
    for at, chosen in TOPOLOGIES.items():
        topology = create(registry.topologies, chosen)
        for cell, of_cell in CELLS.items():
            make = component(registry.cells, of_cell)
            card.check("equals the reference", f"{cell} on {at}",
                       lambda t=topology, m=make: equals_reference(t, m, [name]))  # fmt: skip
    return card


def _left_out(quick: bool) -> list[str]:
    return list(LEFT_OUT) if quick else []


def _check_layer(card: Card, on: str, topology: Any, make: Any) -> None:
    executors = [one for one in every_executor() if one not in card.left_out]
    card.check("equals the reference", on, lambda: equals_reference(topology, make, executors))
    card.check("gradients", on, lambda: passes_gradcheck(topology, make))
    card.check("order of the batch", on, lambda: ignores_order(topology, make))
    card.check("one node and none", on, lambda: takes_few_nodes(topology, make))
    card.check("determinism", on, lambda: repeats_itself(topology, make))
    card.check("saved and loaded", on, lambda: is_saved(topology, make))


def _check_made(
    card: Card, known: registry.Registry, choice: Config, layers: Callable[[Config], Layers]
) -> bool:
    """Whether a component can be made with the options given; with its own defaults it has to be.

    Arguments:
        layers: makes layers of the component with other options, by what they are made on.
    """
    name, options = choice["name"], known.options(choice["name"])
    what = f"{known.kind} {name!r}"
    found = card.check("made", "options as given", lambda: _fits_one(what, layers(choice)))
    required = [one for one, (_, default) in options.items() if default is REQUIRED]
    defaults = {one: default for one, (_, default) in options.items()}
    if not required and {**defaults, **choice} != {**choice, **defaults}:
        alone = f"{what} with its own defaults"
        card.check("made", "own defaults", lambda: _fits_one(alone, layers({"name": name})))
    return found


def _fits_one(what: str, layers: Layers) -> str:
    """What layers can be made of a component; Failed where there are none."""
    fits, refusals = [], []
    for at, make in layers.items():
        try:
            make()
        except NotFor as error:
            refusals.append(f"{at}: {error}")
        else:
            fits.append(at)
    if not fits:
        raise Failed(f"{what} can be made on nothing: {'; '.join(refusals)}")
    return f"on {', '.join(fits)}"


def _sizes(layer: Recurrence) -> str:
    weights = [one.numel() for one in layer.parameters()]
    return f"{len(weights)} weights of {sum(weights):,} numbers"
