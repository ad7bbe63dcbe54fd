"""A net's layers as a table: their outputs and parameters, and the least work of a step."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from structnet.data.batch import Batch
from structnet.nn.floor import Floor
from structnet.nn.recurrence import Recurrence

# Modules within these are not listed by themselves.
WHOLE = (Recurrence, nn.Embedding, nn.Linear)


@dataclass(frozen=True)
class Row:
    """One layer.

    Arguments:
        name: of the module within the net.
        kind: of its class.
        output: the shape of what it returned for the batch; None without one.
        parameters: how many it has, each counted where it stands first.
        products: the multiplications of a training step's matrix products, of a recurrence.
    """

    name: str
    kind: str
    output: tuple[int, ...] | None
    parameters: int
    products: int | None


@dataclass(frozen=True)
class Summary:
    """What `Net.summary` returns, which prints as a table.

    Arguments:
        rows: the layers, from the input up.
        batch: the number of samples, nodes and levels that outputs and products are for; None
            without a batch.
    """

    rows: tuple[Row, ...]
    batch: tuple[int, int, int] | None

    @property
    def parameters(self) -> int:
        return sum(row.parameters for row in self.rows)

    @property
    def flops(self) -> int | None:
        """The floor of a training step: two for every multiplication of its matrix products.

        Those of the recurrences, forward and backward. Elementwise operations, gathers, and what is
        below and above the recurrences are not included. None without a batch, and for directions
        that have stacks of their own.
        """
        found = [row.products for row in self.rows if row.kind == Recurrence.__name__]
        known = [one for one in found if one is not None]
        return 2 * sum(known) if len(known) == len(found) and self.batch is not None else None

    def __str__(self) -> str:
        head = ("layer", "kind", "output", "parameters")
        lines = [head, *(_cells(row) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = [
            "  ".join(
                cell.rjust(width) if at == 3 else cell.ljust(width)
                for at, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        text.append(f"{self.parameters:,} parameters")
        if self.batch is not None and self.flops is not None:
            samples, nodes, levels = self.batch
            text.append(
                f"{self.flops / 1e6:,.2f} MFLOP at least in a training step of {samples:,} "
                f"samples, {nodes:,} nodes in {levels:,} levels: the matrix products of the "
                "recurrences"
            )
        return "\n".join(text)


def summarise(net: nn.Module, batch: Batch | None) -> Summary:
    """The layers of a net; with a batch what they return for it, and their floor."""
    named = dict(_listed(net, ""))
    shapes = {} if batch is None else _shapes(net, named, batch)
    counted: set[int] = set()
    rows = []
    for name, module in named.items():
        new = {id(one): one.numel() for one in module.parameters() if id(one) not in counted}
        counted |= new.keys()
        products = _products(module, batch) if batch is not None else None
        kind = type(module).__name__
        rows.append(Row(name, kind, shapes.get(name), sum(new.values()), products))
    own = {id(one): one.numel() for one in net.parameters() if id(one) not in counted}
    if own:
        rows.append(Row("others", type(net).__name__, None, sum(own.values()), None))
    return Summary(tuple(rows), None if batch is None else _size(batch))


def _listed(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    """The layers within a module that have parameters, each as a whole."""
    inner = [(n, one) for n, one in module.named_children() if any(True for _ in one.parameters())]
    if name and (isinstance(module, WHOLE) or not inner):
        yield name, module
        return
    for below, one in inner:
        yield from _listed(one, f"{name}.{below}".lstrip("."))


def _shapes(
    net: nn.Module, named: dict[str, nn.Module], batch: Batch
) -> dict[str, tuple[int, ...]]:
    """The shape of what every layer returns."""
    found: dict[str, tuple[int, ...]] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            first = output[0] if isinstance(output, tuple) else output
            if isinstance(first, Tensor):
                found[name] = tuple(first.shape)

        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in named.items()]
    was_training = net.training
    try:
        with torch.no_grad():
            net.eval()(batch)
    finally:
        net.train(was_training)
        for handle in handles:
            handle.remove()
    return found


def _products(module: nn.Module, batch: Batch) -> int | None:
    if not isinstance(module, Recurrence) or len(batch.plans) != len(module.cells):
        return None
    floor = Floor(list(module.cells), batch.plans, module.input_sizes)
    return sum(one.work for one in floor.products)


def _size(batch: Batch) -> tuple[int, int, int]:
    levels = max(len(plan.levels) - 1 for plan in batch.plans)
    return batch.num_samples, batch.num_nodes, levels


def _cells(row: Row) -> tuple[str, str, str, str]:
    output = "" if row.output is None else " x ".join(map(str, row.output))
    return row.name, row.kind, output, f"{row.parameters:,}"
