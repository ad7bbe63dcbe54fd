"""The executor `compiled`."""

import warnings

import torch
from torch import Tensor

from structnet.cell.adapt import outputs_state
from structnet.cell.call import States
from structnet.execute.batched import Batched
from structnet.execute.compiled.refusal import NoCompiler
from structnet.execute.executor import Executor, Pass, Spec


class Compiled(Executor):
    """Level by level as native code, for a cell that is a fixed graph of torch operations."""

    takes = frozenset(
        ["states", "dropout", "zoneout", "weight_drop", "truncate", "windows", "recompute"]
    )
    # Whether `batched` runs in its place, as torch lacks something.
    is_replaced = False

    def refuses(self, spec: Spec) -> str | None:
        if "recompute" in spec.needs and not outputs_state(spec.cell):
            name = type(spec.cell).__name__
            return (
                f"save='recompute' is for cells whose output is a state, not {name}; "
                "take save='windows'"
            )
        return None

    def run(self, p: Pass) -> tuple[Tensor, States]:
        """ValueError for a cell that can't be compiled, RuntimeError without a C++ compiler.

        It uses private parts of torch: in a version in which one is missing or has changed, it
        warns once, and from then on `batched` runs in its place.
        """
        if not self.is_replaced:
            try:
                return _run(p)
            except (torch.OutOfMemoryError, NoCompiler):
                raise
            except Exception as error:
                if (cause := _cause(error, p)) is None:
                    raise
            self.is_replaced = True
            warnings.warn(
                f"executor 'compiled' does not work with torch {torch.__version__}, whose private "
                f"parts it uses ({cause}); 'batched' runs in its place, with the same results",
                stacklevel=2,
            )
        return Batched().run(p)


def _run(p: Pass) -> tuple[Tensor, States]:
    # What traces and compiles takes a while to import.
    from structnet.execute.compiled.sweep import run_compiled

    states = run_compiled(p)
    return (states[0], states) if p.save == "recompute" else p.with_output(states)


def _cause(error: Exception, p: Pass) -> str | None:
    """What is wrong with torch; None where an error is due to the cell."""
    try:
        from structnet.execute.compiled.probe import probe

        # Cells are refused before anything is compiled.
        probe(p.x.device, compiles=not isinstance(error, ValueError))
    except Exception as again:
        return str(again.__cause__ or again).partition("\n")[0]
    return None
