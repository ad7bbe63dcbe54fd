"""Lightning's DDP for processes that share a step's lanes."""

import os
import signal
import threading
from datetime import timedelta
from typing import Any

from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor

from structnet.distributed.launch import Launch
from structnet.distributed.world import current


class Together(DDPStrategy):
    """Lightning's DDP but for torch's wrapper of the net, which would add gradients in its order.

    `StepGradient` adds them up in the order of lanes. Processes, devices and checkpoints are
    Lightning's.
    """

    def setup_environment(self) -> None:
        self._on_sigterm = signal.getsignal(signal.SIGTERM)
        super().setup_environment()

    def on_train_start(self) -> None:
        """Put back what a signal to stop does: Lightning would wait for other processes in it."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._on_sigterm)

    def on_test_start(self) -> None:
        self.on_train_start()

    def barrier(self, *given: Any, **named: Any) -> None:
        with current().exchanging():
            super().barrier(*given, **named)

    def reduce(self, *given: Any, **named: Any) -> Tensor:
        with current().exchanging():
            return super().reduce(*given, **named)

    def configure_ddp(self) -> None:
        """Leave the net as it is."""


def tell_address() -> None:
    """Tell torch where the first process is: torchrun has done so, Slurm has a list of nodes.

    ValueError for variables of Slurm that Lightning does not take.
    """
    if "MASTER_ADDR" not in os.environ or "MASTER_PORT" not in os.environ:
        try:
            found = SLURMEnvironment(auto_requeue=False)
        except RuntimeError as error:
            raise ValueError(str(error)) from error
        os.environ["MASTER_ADDR"] = found.main_address
        os.environ["MASTER_PORT"] = str(found.main_port)


def shared(launch: Launch, minutes: float) -> dict[str, Any]:
    """What Lightning's Trainer is given where several processes train; for one, one device.

    Arguments:
        launch: the place of this process among them.
        minutes: how long one waits for the others.
    """
    if launch.size == 1:
        return {"devices": 1}
    return {
        "devices": launch.local_size,
        "num_nodes": launch.machines,
        "strategy": Together(
            cluster_environment=_environment(launch), timeout=timedelta(minutes=minutes)
        ),
        "use_distributed_sampler": False,
    }


def _environment(launch: Launch) -> ClusterEnvironment:
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    # Read by Lightning in any other case.
    os.environ["LOCAL_RANK"] = str(launch.local_rank)
    os.environ["NODE_RANK"] = str(launch.rank // launch.local_size)
    return LightningEnvironment()
