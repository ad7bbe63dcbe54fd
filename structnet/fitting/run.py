"""A trained run at hand in Python."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from torch import nn

from structnet.data.frames import library_of
from structnet.data.task import Task
from structnet.run import run as base
from structnet.run.components import Config

if TYPE_CHECKING:
    from structnet.fitting.stream import Stream

# What stands before the name of a run on a hub.
HUB = "hub:"


@dataclass(frozen=True)
class Run(base.Run):
    """A training run: its configuration, task, topology, net and figures.

    `load` gives a trained one, whose `predict` takes data in Python.

    Arguments:
        module: the net, where an nn.Module of one's own was trained; None for one that the
            configuration builds.
    """

    module: nn.Module | None = None

    @classmethod
    def load(
        cls, where: str | Path, *, net: nn.Module | None = None, task: Task | None = None
    ) -> Self:
        """A trained run with its net, checked as `structnet test` does.

        FileNotFoundError if there is none, or it has no net yet. ValueError for what is damaged,
        for a plugin that is missing, and for an nn.Module of one's own that is not given.

        Arguments:
            where: the run's directory.
            net: the nn.Module that the run was trained with, of any weights, where it was one of
                one's own; the run's weights are loaded into it.
            task: a task to use in place of the one that the configuration makes.
        """
        from structnet.config.composing import saved

        directory = folder_of(where)
        config = saved(str(directory))
        run = cast(Self, composed(config, directory, module=net, task=task, of=cls))
        # Here, so that what is wrong with the weights is said at once.
        vars(run)["net"] = run.load_net()
        return run

    @cached_property
    def net(self) -> nn.Module:
        """The trained net, in evaluation mode."""
        return self.load_net()

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """What metrics.json has of test, validation, train and the baselines."""
        return self.read_metrics()

    def predict(self, data: Any) -> Any:
        """Predictions for data in Python, the numbers of `structnet predict`.

        ValueError names what of the data the task does not read.

        Arguments:
            data: what the task's `read_data` takes. By default a data frame of pandas or polars or
                a list: of texts, of rows or mappings in the task's format, of paths, or of
                (structure, x); for a run on data given in Python, of rows as `sn.fit` took them.

        Returns a data frame of the same library for a data frame, else `Predictions`: a sequence
        with the arrays `classes`, `probability`, `probabilities` and `values`, and `as_dicts()`.
        """
        from structnet.training.predict import predict_samples
        from structnet.training.predicted import Predictions
        from structnet.training.samples import data_samples, warn_of_run

        # First, as it brings the task what it learned.
        net = self.net.eval()
        samples = data_samples(self, data)
        warn_of_run(self, samples, "the data")
        found = Predictions(predict_samples(self, net, samples), list(self.task.classes))
        return found if library_of(data) is None else found.as_frame(data)

    def stream(self) -> "Stream":
        """A sequence that the net reads as it comes, from its first step on.

        ValueError for a net that reads what has not come yet.

        Returns a `Stream`: `push(record)` reads the next steps and gives the prediction after them.
        """
        from structnet.fitting.stream import Stream

        return Stream(self, self.net.eval())

    def _build(self, sizes: Any, head: Config | None = None, **options: Any) -> nn.Module:
        return super()._build(sizes, head, **options) if self.module is None else self.module


def composed(
    config: Mapping[str, Any],
    directory: Path,
    *,
    module: nn.Module | None = None,
    task: Task | None = None,
    data: Any = None,
    of: type[Run] = Run,
) -> Run:
    """The run of a configuration, with what no configuration holds.

    Arguments:
        config: the configuration.
        directory: the run's.
        module: the net, if it is an nn.Module of one's own.
        task: the task, if it is there already.
        data: what the task reads in place of files.
        of: the class of the run.
    """
    run: Any = of.compose(config, directory)
    if task is not None:
        task.check(run.topology)
        run = replace(run, task=task)
    if data is not None:
        run.task.data = data
    return run if module is None else replace(run, module=module)


def folder_of(where: str | Path) -> Path:
    """The directory that names a run: a folder, or one of a hub, hub:OWNER/NAME@REVISION."""
    if str(where).startswith(HUB):
        from structnet.sharing import pulled

        return pulled(str(where))
    return Path(where).expanduser()
