"""Whether this version of torch has the private parts that `compiled` uses."""

import torch
from torch import nn

from structnet.cell.library.elman import Elman
from structnet.execute.compiled.making import making
from structnet.execute.compiled.program import Program
from structnet.execute.compiled.signature import Signature, tensors_of


def probe(device: torch.device, compiles: bool) -> None:
    """Trace a cell that is a fixed graph of torch operations, and compile it if asked to.

    Raises whatever error comes up where torch has changed.
    """
    kind = torch.float32
    with making(), torch.random.fork_rng(devices=[]), torch.device("cpu"):
        cell = Elman(1, 1, 1).to(device, kind)
        program = Program(cell, Signature((1, 0, 0), 1, False, False, kind, kind, device))
        if compiles:
            _run(program, cell, device)


@torch.no_grad()
def _run(program: Program, cell: nn.Module, device: torch.device) -> None:
    """Run the kernel of the new states, which is compiled where it is called."""
    z, y, new = (torch.zeros(2, 1, device=device) for _ in range(3))
    rows = torch.zeros(2, 1, dtype=torch.int64, device=device)
    program.last([z, rows, torch.zeros(3, 1, device=device), *tensors_of(cell).values(), y], [new])
