"""Layers of a long training that are compiled once it has shown that it is long."""

import time
from collections.abc import Iterator

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import nn

from structnet.execute.executor import Spec, choose
from structnet.nn.compiling import compile_now, is_called_alone, refusal, unknown
from structnet.nn.recurrence import Recurrence
from structnet.system.terminal import counted

# The step from which layers are compiled, and the fewest steps of a training that does so, as
# compiling took up to 20 s. They are fixed, so that a killed run goes on with the same numbers.
FROM, LEAST = 1000, 5000


class Compile(Callback):
    """Compiles the layers with executor `auto` that it runs level by level.

    From step FROM on, in a training of at least LEAST steps on a CPU. Layers that can't be compiled
    stay as they are, and so do all where there is no C++ compiler.
    """

    def __init__(self, steps: int):
        self.is_due = steps >= LEAST

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.on_train_batch_start(trainer, pl_module)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, *given: object
    ) -> None:
        if self.is_due and trainer.global_step >= FROM:
            self.is_due = False
            compile_layers(pl_module)


def executors_of(net: nn.Module, steps: int) -> str:
    """The names of the executors that run a net's layers, and when they are compiled."""
    layers = [one for one in net.modules() if isinstance(one, Recurrence)]
    names = {
        choose(layer.executor, Spec(cell, layer._needs(training=True))).name: None
        for layer in layers
        for cell in layer.cells
    }
    in_time = steps >= LEAST and any(
        all(unknown(cell) is None for cell in layer.cells) for layer in _level_by_level(net)
    )
    return ", ".join(names) + (f", compiled from step {FROM:,} on" if in_time else "")


def compile_layers(net: nn.Module) -> None:
    """Compile the layers of a net that `auto` runs level by level, and say how many."""
    begun, layers = time.perf_counter(), list(_level_by_level(net))
    refused = {layer: _refusal(layer) for layer in layers}
    ready = [layer for layer, why in refused.items() if why is None]
    for layer in ready:
        compile_now(layer)
    if ready:
        took = time.perf_counter() - begun
        print(f"{counted(len(ready), 'layer')} compiled in {took:.1f} s", flush=True)
    for why in {why for why in refused.values() if why is not None}:
        print(f"not compiled: {why}", flush=True)


def _level_by_level(net: nn.Module) -> Iterator[Recurrence]:
    for layer in net.modules():
        if isinstance(layer, Recurrence) and layer.executor == "auto":
            needs = layer._needs(training=True)
            specs = [Spec(cell, needs) for cell in layer.cells]
            on_cpu = all(one.device.type == "cpu" for one in layer.parameters())
            by_levels = on_cpu and all(choose("auto", one).name == "batched" for one in specs)
            if by_levels and all(map(is_called_alone, specs)):
                yield layer


def _refusal(layer: Recurrence) -> str | None:
    """Why a layer can't be compiled; None where it can be."""
    for cell, size in zip(layer.cells, layer.input_sizes, strict=True):
        if (why_not := unknown(cell)) is not None:
            return f"{why_not}; net.executor=compiled compiles it nevertheless"
        own = sum(cell.state_sizes) if cell.reads_own else 0
        x = next(layer.parameters()).new_zeros(1, size + own)
        modes = [(module, module.training) for module in cell.modules()]
        cell.eval()
        why_not = refusal(cell, x)
        for module, is_training in modes:
            module.training = is_training
        if why_not is not None:
            return why_not
    return None
