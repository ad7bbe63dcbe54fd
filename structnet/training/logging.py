"""What the figures of training are logged with: always CSV files, and another logger if chosen."""

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from importlib.util import find_spec

from lightning.pytorch.loggers import (
    CSVLogger,
    Logger,
    MLFlowLogger,
    TensorBoardLogger,
    WandbLogger,
)

from structnet.run.logs import next_version
from structnet.run.run import Run
from structnet.training.options import LoggerName

# By the name of the module that each needs, which is also that of the extra that brings it.
LOGGERS: Mapping[str, Callable[[Run], Logger]] = {
    "tensorboard": lambda run: TensorBoardLogger(run.directory, name="tensorboard"),
    "wandb": lambda run: WandbLogger(
        name=run.directory.name, save_dir=run.directory, project="structnet"
    ),
    # A database in the run's directory, where MLFLOW_TRACKING_URI names no other place.
    "mlflow": lambda run: MLFlowLogger(
        "structnet",
        run_name=run.directory.name,
        tracking_uri=os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{run.directory}/mlflow.db"),
    ),
}


def check_logger(chosen: LoggerName | None) -> None:
    """ModuleNotFoundError, which says what to install, for a logger that is not."""
    if chosen not in (None, "csv") and find_spec(chosen) is None:
        raise ModuleNotFoundError(
            f"trainer.logger={chosen} needs {chosen}, which is not installed: "
            f"pip install -e '.[{chosen}]', or take trainer.logger=csv"
        )


def loggers(run: Run, chosen: LoggerName | None) -> list[Logger]:
    """CSV files, which the learning curve and `structnet runs` are read from, and the chosen one.

    Without a choice TensorBoard, if that is installed.
    """
    version = next_version(run.logs)
    made: list[Logger] = [CSVLogger(run.directory, name="logs", version=version)]
    if chosen is None:
        with suppress(ModuleNotFoundError):
            made.append(LOGGERS["tensorboard"](run))
    elif chosen != "csv":
        made.append(LOGGERS[chosen](run))
    return made


def close(logged: Iterable[Logger]) -> None:
    """End what Lightning leaves open: a run of wandb, with which the next one would go on."""
    for one in logged:
        if isinstance(one, WandbLogger):
            one.experiment.finish()
