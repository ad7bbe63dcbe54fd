"""The parts of an executor's page: what it takes, and which cells it runs."""

from cell_pages import KINDS, able_of

import structnet as sn
from structnet.execute.executor import find
from structnet.execute.features import FEATURES


def takes_part(name: str) -> str:
    """Which features of a layer it takes, and which it refuses."""
    takes = find(name).takes
    rows = [f"| {said} | {'yes' if one in takes else 'no'} |" for one, said in FEATURES.items()]
    return "\n".join(["## Takes", "", "| feature of a layer | taken |", "|---|---|", *rows])


def cells_part(name: str, cells: list[str]) -> str:
    """Which of the cells it runs on each kind of structure, with default options on a CPU."""
    if find(name).needs_gpu:
        return ""
    rows = []
    for kind, (topology, options, structure, _) in KINDS.items():
        made = sn.topologies.create(topology, **options)
        able = [cell for cell in cells if able_of(cell, made, structure, (name,))]
        links = ", ".join(f"[`{cell}`](../cell/{cell}.md)" for cell in able) or "none"
        rows.append(f"| {kind} | {'all' if able == cells else links} |")
    return "\n".join(["## Cells", "", "With default options, on a CPU.", "",
                      "| structure | cells |", "|---|---|", *rows])  # fmt: skip
