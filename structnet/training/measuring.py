"""The task's metrics over a split, of whose batches every process has computed some."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from structnet.data.cross_entropy import IGNORE
from structnet.data.task import Task
from structnet.distributed.world import World
from structnet.training.calibrating import Calibration
from structnet.training.constant import Constant

# Outputs and targets by the name of a metric; None of a process that had no batch.
Found = Mapping[str, tuple[Any, Any]] | None


class Measuring(nn.Module):
    """Every process updates all metrics with what all have computed, in the order of batches.

    So their figures are those of one process, and a metric that some process has nothing for keeps
    none waiting.

    Arguments:
        task: has the metrics.
        world: the processes.
    """

    def __init__(self, task: Task, world: World):
        super().__init__()
        metrics = task.metrics()
        # By number, as names of columns may have dots, which those of modules must not.
        self.world, self.metrics = world, nn.ModuleList(metrics.values())
        self.numbers = {name: number for number, name in enumerate(metrics)}
        for one in self.metrics.modules():
            # Else torchmetrics would count what all processes have as often as there are processes.
            if isinstance(one, Metric):
                one.distributed_available_fn = _nothing_to_add
        # Of the split that was tested last.
        self.constant = Constant()
        # Collects scores while it is set.
        self.calibration: Calibration | None = None

    def update(self, found: Found, device: torch.device, is_shared: bool) -> None:
        """Take what was found for a batch, and where batches are shared what the others found.

        Arguments:
            found: by this process.
            device: of the metrics.
            is_shared: whether every process has another batch; else all have the same.
        """
        if not is_shared or self.world.size == 1:
            self._update(found)
            return
        for one in self.world.gather(_moved(found, torch.device("cpu"))):
            self._update(_moved(one, device))

    def figures(self) -> Iterator[tuple[str, Tensor]]:
        """The figures of the metrics that there was anything for; all then begin again."""
        for name, number in self.numbers.items():
            kept: Any = self.metrics[number]
            if kept.update_called:
                yield name, kept.compute()
                kept.reset()

    def _update(self, found: Found) -> None:
        for name, (output, target) in (found or {}).items():
            if len(target):
                metric: Any = self.metrics[self.numbers[name]]
                metric.update(output, target)
                if name in ("accuracy", "rmse"):
                    self.constant.update(output, target, IGNORE)
                if name == "accuracy" and self.calibration is not None:
                    self.calibration.update(output, target)


def _nothing_to_add() -> bool:
    """What a metric asks before it adds up what all processes have."""
    return False


def _moved(found: Found, device: torch.device) -> Found:
    def move(value: Any) -> Any:
        return value.to(device) if isinstance(value, Tensor) else value

    if found is None:
        return None
    return {name: (move(output), move(target)) for name, (output, target) in found.items()}
