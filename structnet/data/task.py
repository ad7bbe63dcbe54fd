"""Task: data with its structure, loss and metrics."""

import abc
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn

from structnet.data.batch import Batch, Sample, Tokens, Vocabulary
from structnet.data.splits import Splits
from structnet.registry import topologies
from structnet.registry.checked import Checked
from structnet.topology.base import Topology

IGNORE = -100


class Task(metaclass=Checked):
    """Data with its structure, loss and metrics; this base classifies nodes or samples.

    `structures` names the kinds of structure it can give (a topology's `takes`), `classes` the
    labels, `kinds` the groups of samples that are measured on their own as well. `monitor` is the
    metric that chooses the best checkpoint, `mode` says whether its largest or its smallest value
    is best. `wanted` is the class that prediction searches for, the most probable first; without it
    every sample is labelled. Where a decision takes several structures, such as two that are
    compared, `group` of them follow each other in a split and stay together in a batch.

    A task that predicts the input itself says in `sees`, for every output, how many of the features
    of its own node it may depend on. `condition` says to the net what a sample is given beside its
    input, None for nothing. `learned` names attributes of plain data that are taken from the
    training data, as a vocabulary is, and saved with the net. Where a net can make
    samples by itself, `generate(net, topology)` does, with options of its own; what it gives has
    `save(path)`.
    """

    structures: ClassVar[tuple[str, ...]] = ()
    classes: Sequence[str] = ()
    kinds: Sequence[str] = ()
    monitor: str = "accuracy"
    mode: str = "max"
    loss_unit: ClassVar[str] = "nats"
    wanted: ClassVar[str | None] = None
    group: ClassVar[int] = 1
    learned: ClassVar[tuple[str, ...]] = ()
    # A task over tokens has a vocabulary, one over features an input size.
    vocabulary: Vocabulary | None = None
    # What was loaded and kept last.
    loaded: Splits
    input_size: int | None = None
    # The features of an edge, where samples have `edge_x`.
    edge_size: int | None = None
    sees: Sequence[int] | None = None
    condition: Any = None
    generate: Callable[..., Any] | None = None

    def find(self) -> Any:
        """Where the data is, None where it is in no files; called before anything is read.

        FileNotFoundError names the files that are missing and how to point to them, as in `load`.
        """
        return None

    @abc.abstractmethod
    def load(self, topology: Topology) -> Splits | dict[str, Sequence[Sample]]:
        """Read the data: the splits train, validation and test, structured for the topology.

        Returned as `sn.Splits`, together with the vocabulary and what else was learned from the
        training split; the task itself is left as it is, `keep` takes them over. What the task
        already knows, from a saved net, must be used instead of being learned again. A plain dict
        of splits will do where nothing is learned, or where `load` sets the attributes itself.
        FileNotFoundError names the missing files, where they were looked for and how to point to
        them.
        """

    def keep(self, splits: Mapping[str, Sequence[Sample]]) -> Splits:
        """Take over what was loaded, as `loaded`, and what was learned; returns the splits."""
        self.loaded = splits if isinstance(splits, Splits) else Splits(splits)
        self.know(self.loaded.vocabulary, self.loaded.learned)
        return self.loaded

    def know(self, vocabulary: Vocabulary | None, learned: Mapping[str, Any]) -> None:
        """Take over a vocabulary, None for none, and attributes that were learned.

        ValueError for an attribute that is neither `classes` nor listed in `learned`.
        """
        if vocabulary is not None:
            self.vocabulary = vocabulary
        for name, value in learned.items():
            if name not in ("classes", *self.learned):
                raise ValueError(
                    f"{type(self).__name__} has learned {name!r}, which would not be saved: list "
                    f"it in `learned`, which has {list(self.learned)}"
                )
            # A task may compute its classes in a property.
            with suppress(AttributeError):
                setattr(self, name, value)

    def read(self, path: Path, topology: Topology) -> Iterator[Sample]:
        """The samples of a user's file or folder, for prediction.

        Each has its `Origin`, or is numbered. ValueError of a task that reads no files says so.
        """
        raise ValueError(
            f"{type(self).__name__} has no samples to read from {path}: the task has no method "
            "`read`; structnet draw run=DIR sample=N shows what the net says of its own data"
        )

    @property
    def reads_files(self) -> bool:
        """Whether there are samples in a user's files."""
        return type(self).read is not Task.read

    def illustrate(
        self, net: nn.Module, topology: Topology, samples: Sequence[Sample]
    ) -> dict[str, Any]:
        """Name -> a picture of what a net has learned, which has `save(path)`; as it trains."""
        return {}

    def node_names(self, sample: Sample) -> Sequence[str] | None:
        """What a picture calls the nodes of a sample, in order; None where they have no names.

        These are a node's words, where the task has a vocabulary.
        """
        if self.vocabulary is None or not isinstance(sample.x, Tokens):
            return None
        return [" ".join(words) for words in self.vocabulary.words(sample.x)]

    def scores_nodes(self, topology: Topology) -> bool:
        """Whether there is a target for every node."""
        return False

    def predicts_nodes(self, topology: Topology) -> bool:
        """Whether a user is told of every node; else of a sample, by its `sample_output`."""
        return self.scores_nodes(topology)

    def readout(self, topology: Topology) -> str:
        """The readout used where the configuration names none."""
        return "every" if self.scores_nodes(topology) else "root"

    def baselines(self) -> dict[str, dict[str, float]]:
        """Name -> test metrics of models fitted to compare with, on what was `loaded`."""
        return {}

    def check(self, topology: Topology) -> None:
        """ValueError if the task has no structure that the topology takes."""
        if topology.takes not in self.structures:
            fitting = [
                name for name in topologies.names() if topologies[name].takes in self.structures
            ]
            raise ValueError(
                f"{type(self).__name__} has structures of kind {list(self.structures)}, "
                f"{type(topology).__name__} takes {topology.takes!r}; take a topology of {fitting}"
            )

    @property
    def num_outputs(self) -> int:
        return len(self.classes)

    def sample_output(self, output: Tensor, batch: Batch) -> Tensor:
        """Scores (groups, classes), a row a decision; of roots if the readout is per node."""
        if len(output) == batch.num_samples:
            return output
        return output[batch.plans[0].sinks]

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        self._refuse_other_targets(output, batch)
        return self.cross_entropy(output, batch.y)

    def cross_entropy(self, output: Tensor, y: Tensor, weights: Tensor | None = None) -> Tensor:
        """The mean over the targets y (n,) that are known; 0, without gradients, if none is.

        `output` (n, C) are scores, `weights` (C,) what a target of each class counts in the mean.
        """
        known = y != IGNORE
        counted = known if weights is None else weights[y.where(known, 0)] * known
        total = counted.sum()
        summed = nn.functional.cross_entropy(
            output, y, weights, ignore_index=IGNORE, reduction="sum"
        )
        return summed / total.where(total > 0, 1)

    def _refuse_other_targets(self, output: Tensor, batch: Batch) -> None:
        y, name = batch.y, type(self).__name__
        if y.is_floating_point() or y.ndim != 1:
            raise ValueError(
                f"{name} tells classes: a target is a whole number, got {y.dtype} of shape "
                f"{tuple(y.shape)}; inherit from sn.Regression to tell numbers"
            )
        if len(output) != len(y):
            raise ValueError(
                f"{name} has {len(y)} targets for {batch.num_samples} samples of "
                f"{batch.num_nodes} nodes, the net gives {len(output)} answers: `scores_nodes` "
                "says whether there is a target a node, readout=every gives an answer a node, "
                "readout=root one a sample"
            )
        if len(y) and int(y.max()) >= output.shape[1]:
            raise ValueError(
                f"{name} has the target {int(y.max())}, its {output.shape[1]} classes are "
                "numbered from 0 on"
            )

    def metrics(self) -> dict[str, Any]:
        """Name -> a fresh torchmetrics metric."""
        from torchmetrics.classification import MulticlassAccuracy

        return {
            name: MulticlassAccuracy(len(self.classes), average="micro", ignore_index=IGNORE)
            for name in ("accuracy", *self.kinds)
        }

    def measured(self, output: Tensor, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        """Metric name -> the outputs and targets it is updated with."""
        if len(output) == len(batch.y) > batch.num_samples:
            return self._measured_nodes(output, batch)
        scores, y, kinds = self.sample_output(output, batch), batch.y[:: self.group], batch.kind
        measured = {"accuracy": (scores, y)}
        for index, kind in enumerate(self.kinds):
            mine = kinds[:: self.group] == index
            measured[kind] = (scores[mine], y[mine])
        return measured

    def _measured_nodes(self, output: Tensor, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        """Those of a target a node; a node is of its sample's kind."""
        kinds = batch.kind[batch.sample_of_node()]
        mine = {kind: kinds == index for index, kind in enumerate(self.kinds)}
        return {
            "accuracy": (output, batch.y),
            **{kind: (output[some], batch.y[some]) for kind, some in mine.items()},
        }


def data_folder(root: str | None, name: str, files: Sequence[str]) -> Path:
    """The folder that holds `files`: `root`, or folder `name` of the environment's STRUCTNET_DATA.

    FileNotFoundError names the files that are missing and the ways to point to them.
    """
    given = os.environ.get("STRUCTNET_DATA")
    if root is not None:
        folder = Path(root).expanduser()
    elif given:
        folder = Path(given).expanduser() / name
    else:
        raise FileNotFoundError(
            f"the data {', '.join(files)} is not at hand: set task.root=FOLDER, or the environment "
            f"variable STRUCTNET_DATA to the folder that holds {name}/"
        )
    missing = [file for file in files if not (folder / file).is_file()]
    if missing:
        raise FileNotFoundError(
            f"no {', '.join(missing)} in {folder}: set task.root=FOLDER, or the environment "
            f"variable STRUCTNET_DATA to the folder that holds {name}/"
        )
    return folder
