"""Why a cell can't be compiled, in terms of its code."""

from torch import nn


class NoCompiler(ImportError, RuntimeError):
    """Inductor finds no C++ compiler."""

    def __init__(self) -> None:
        super().__init__(
            "executor 'compiled' needs a C++ compiler (g++ or clang++), none is found; "
            "install one, or take executor='batched'"
        )


def reason(error: Exception) -> str:
    """The message of torch's error, or a plainer one where it is known."""
    said = str(error).partition("\n")[0]
    for sign, reason in {
        "convert all Tensors to FakeTensors": "it has a tensor that is no parameter and no buffer",
        "setup_context": "it has a backward of its own (torch.autograd.Function)",
        "NYI: Functionalize": "it has a backward of its own (torch.autograd.Function)",
    }.items():
        if sign in said:
            return reason
    return said


def refusal(cell: nn.Module, why: str) -> ValueError:
    return ValueError(
        f"{type(cell).__name__} is no fixed graph of torch operations on its inputs, parameters "
        f"and buffers: {why}; call it with executor='batched'"
    )
