"""The executor `compiled`."""

from torch import Tensor

from structnet.cell.base import Cell
from structnet.cell.call import States
from structnet.execute.executor import Executor, Pass, Spec


class Compiled(Executor):
    """Level by level as native code, for a cell that is a fixed graph of torch operations."""

    takes = frozenset(
        ["states", "dropout", "zoneout", "weight_drop", "truncate", "windows", "recompute"]
    )

    def refuses(self, spec: Spec) -> str | None:
        kind = type(spec.cell)
        if "recompute" in spec.needs and getattr(kind, "output", Cell.output) is not Cell.output:
            return (
                f"save='recompute' is for cells whose output is a state, not {kind.__name__}; "
                "take save='windows'"
            )
        return None

    def run(self, p: Pass) -> tuple[Tensor, States]:
        # What traces and compiles takes a while to import.
        from structnet.execute.compiled.sweep import run_compiled

        states = run_compiled(p)
        return (states[0], states) if p.save == "recompute" else p.with_output(states)
