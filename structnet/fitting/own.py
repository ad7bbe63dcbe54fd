"""The task of data that is given in Python: what kind of structures, inputs and targets it has."""

from collections.abc import Mapping, Sequence
from typing import Any

from structnet import registry
from structnet.data.own import is_unknown
from structnet.data.rows import Row, kind_of
from structnet.data.splitting import rows_in_splits
from structnet.fitting.words import Choice, words_of
from structnet.registry.suggest import did_you_mean

LOSSES = ("cross_entropy", "squared", "absolute", "huber")


def task_of_data(
    data: Any,
    seed: int,
    topology: Choice,
    *,
    loss: str | None = None,
    per_node: bool | None = None,
    batches: int | None = None,
) -> tuple[list[str], dict[str, list[Row]]]:
    """The words that choose the task for data, and a topology if none is chosen; and its rows.

    ValueError names the row, and what is wrong with it.

    Arguments:
        data: rows, or a mapping from train, validation and test to rows.
        seed: of the splits that are drawn.
        topology: the chosen one; None if it depends on the data.
        loss: cross_entropy of classes; squared, absolute or huber of numbers; None for what the
            targets are: squared if they are floats, else cross_entropy.
        per_node: whether every node has a target; None for what the targets are, of trees that of
            their roots.
        batches: about the least number of batches in an epoch; None for the task's default.
    """
    if loss is not None and loss not in LOSSES:
        raise ValueError(f"no loss {loss!r} {did_you_mean(loss, LOSSES)}")
    splits = rows_in_splits(data, seed, per_node)
    train = splits["train"]
    targets = [one for row in train for one in _targets(row) if not is_unknown(one)]
    if not targets:
        raise ValueError("no row of train has a target: give y")
    if loss is None:
        loss = "squared" if any(isinstance(one, float) for one in targets) else "cross_entropy"
    kind = _kind(train, topology)
    first = train[0]
    options = {
        "kind": kind,
        "per_node": any(isinstance(row.y, list) for row in train) if per_node is None else per_node,
        "features": None if isinstance(first.x, list) else first.x.shape[1],
        "edge_features": None if first.edge_x is None else first.edge_x.shape[1],
        **({} if batches is None else {"batches": batches}),
    }
    numbers = loss != "cross_entropy"
    chosen = {"name": "given_numbers", "loss": loss} if numbers else {"name": "given_classes"}
    shared = kind == "tree" and topology is None and not _is_binary(splits)
    wide = ["topology=tree", "topology.arity=null"] if shared else []
    return [*words_of("task", {**chosen, **options}), *wide], splits


def _targets(row: Row) -> Sequence[Any]:
    return row.y if isinstance(row.y, list) else [row.y]


def _kind(train: Sequence[Row], topology: Choice) -> str:
    """What the chosen topology takes, or else what the structures are."""
    name = topology.get("name") if isinstance(topology, Mapping) else topology
    if name is None:
        return kind_of([row.structure for row in train])
    return registry.topologies[name].takes  # pyright: ignore[reportFunctionMemberAccess]


def _is_binary(splits: Mapping[str, Sequence[Row]]) -> bool:
    """Whether no node of any tree has more than two children."""
    binary = registry.topologies.create("tree")
    try:
        for rows in splits.values():
            binary.plan([row.structure for row in rows])
    except ValueError:
        return False
    return True
