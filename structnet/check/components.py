"""The checks of a cell, a topology and an executor."""

from collections.abc import Mapping
from typing import Any

from structnet import registry
from structnet.check.card import Card, NotFor
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
from structnet.run.components import component, create

Config = Mapping[str, Any]
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


def check_cell(cell: Config, depth: int) -> Card:
    """All checks of a cell, on topologies of every kind."""
    card, make = Card("cell", dict(cell)), component(registry.cells, cell)
    for name, chosen in TOPOLOGIES.items():
        topology = create(registry.topologies, chosen)
        try:
            make_layer(topology, make)
        except NotFor as error:
            card.check("a layer", name, _refuser(str(error)))
            continue
        _check_layer(card, name, topology, make)
        if name in TIMED:
            card.check("depth", name, lambda t=topology: goes_deep(t, make, depth))
            card.check("time", name, lambda c=chosen: floor_ratio(c, cell), "measured")
    return card


def check_topology(topology: Config, depth: int) -> Card:
    """All checks of a topology, under cells of different kinds."""
    card, made = Card("topology", dict(topology)), create(registry.topologies, topology)
    for name, chosen in CELLS.items():
        _check_layer(card, name, made, component(registry.cells, chosen))
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


def _check_layer(card: Card, on: str, topology: Any, make: Any) -> None:
    executors = every_executor()
    card.check("equals the reference", on, lambda: equals_reference(topology, make, executors))
    card.check("gradients", on, lambda: passes_gradcheck(topology, make))
    card.check("order of the batch", on, lambda: ignores_order(topology, make))
    card.check("one node and none", on, lambda: takes_few_nodes(topology, make))
    card.check("determinism", on, lambda: repeats_itself(topology, make))
    card.check("saved and loaded", on, lambda: is_saved(topology, make))


def _refuser(said: str) -> Any:
    def run() -> str:
        raise NotFor(said)

    return run
