"""How the chosen executor runs a pass: as a whole, or in windows of levels."""

from dataclasses import replace

import torch
from torch import Tensor

from structnet.cell.call import States
from structnet.execute.executor import Executor, Pass
from structnet.execute.transform import is_transformed


def run(executor: Executor, p: Pass) -> tuple[Tensor, States]:
    """The output and the states by rank; states may be left out where they are not wanted."""
    if p.truncate is not None:
        from structnet.execute.windows import run_truncated

        return run_truncated(executor, p)
    # Checkpoints only save memory, in backward.
    learns = torch.is_grad_enabled() and not is_transformed()
    if p.save == "windows" and p.plan.num_nodes and learns:
        from structnet.execute.checkpoint import run_checkpointed

        return run_checkpointed(executor, p)
    return executor.result(p)


def run_to_finals(executor: Executor, p: Pass) -> tuple[Tensor, States]:
    """The output by rank, and the states at the plan's sinks, (sinks, size) each."""
    if p.truncate is None and p.save != "windows":
        found = executor.final_states(p)
        if found is not None:
            return found
    output, states = run(executor, replace(p, with_states=True))
    at = p.plan.rank.index_select(0, p.plan.sinks)
    return output, tuple(state.index_select(0, at) for state in states)
