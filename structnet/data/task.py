"""Tasks: data with its structure, loss and metrics."""

import abc
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar, Self

from torch import Tensor, nn
from torch.utils.data import DataLoader

from structnet.data.batch import Batch, Sample
from structnet.data.cross_entropy import IGNORE, check_targets, cross_entropy
from structnet.data.loader import loader
from structnet.data.predicting import Predicting
from structnet.data.showing import Showing
from structnet.data.splits import Splits
from structnet.data.transitions import Transitions
from structnet.data.vocabulary import Vocabulary
from structnet.registry import tasks, topologies
from structnet.registry.checked import Checked
from structnet.topology.base import Topology


class Task(Predicting, Showing, metaclass=Checked):
    """Data with its structure, loss and metrics; this base class classifies nodes or samples.

    What it tells of predictions and of pictures stands in its two bases.

    Attributes:
        structures: the kinds of structure that the task has, as in a topology's `takes`.
        suggested: options of net and trainer, by group, for runs whose command gives no others.
        classes: the names of the classes.
        unseen: the names of classes that validation and test splits have, but training has not:
            targets after those of `classes`, which count as wrong.
        kinds: the names of groups of samples for which there are metrics of their own.
        monitor: the metric that selects the best checkpoint.
        mode: whether its largest value is best, max, or its smallest, min.
        loss_unit: the unit of the loss.
        predicts_numbers: whether targets are numbers, and not classes.
        unit: of these numbers.
        outputs: their names, where each target is several.
        raw_outputs: what the net's outputs are before `in_units`, of a task whose scale is not in
            the input; an exported net gives these.
        min_batches: about the least number of batches in an epoch of training, as in `sn.loader`.
        group: how many samples one decision takes, such as two that are compared; they follow each
            other in a split and stay together in a batch.
        learned: names of attributes of plain data that are learned from the training split, and
            saved with the net.
        input_size: the number of features of a node, of a task over features.
        edge_size: the number of features of an edge, if samples have `edge_x`.
        transitions: which classes may follow which, for a head that scores a sample's nodes
            together; None where all may. It depends on `classes` alone.
        apart: whether directions must not see each other, as each predicts what the others read.
        border: the word before and after the text of every sample; None for none.
        sees: for a task that predicts the input itself: for every output, how many features of its
            own node it may depend on.
        condition: for the net, what samples are given beside their input; None for nothing.
        parts: what the further structures of a sample are, as in `Sample.parts`, by name.
        takes_scores: whether `measured` takes `sn.Scores` as they are.
        note: what to know of the figures; it is shown below their table.
        bounds: the names of those `baselines` that are told what no net is, so that none of them
            is the best baseline.
        takes_data: whether `load` reads `data` in place of files, where there is some.
        data: what `sn.fit(..., data=...)` was given; None for files.
        options: those that the task was made with.
        loaded: the splits that were loaded last.
    """

    structures: ClassVar[tuple[str, ...]] = ()
    suggested: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    classes: Sequence[str] = ()
    unseen: Sequence[str] = ()
    kinds: Sequence[str] = ()
    monitor: str = "accuracy"
    mode: str = "max"
    loss_unit: str = "nats"
    predicts_numbers: bool = False
    unit: str = ""
    outputs: Sequence[str] = ()
    raw_outputs: str = ""
    min_batches: int = 1
    group: ClassVar[int] = 1
    learned: ClassVar[tuple[str, ...]] = ()
    loaded: Splits
    input_size: int | None = None
    edge_size: int | None = None
    transitions: Transitions | None = None
    apart: ClassVar[bool] = False
    border: ClassVar[str | None] = None
    sees: Sequence[int] | None = None
    condition: Any = None
    parts: Sequence[str] = ()
    takes_scores: ClassVar[bool] = False
    takes_data: ClassVar[bool] = False
    data: Any = None
    options: Mapping[str, Any]
    note: str = ""
    bounds: ClassVar[tuple[str, ...]] = ()

    def __new__(cls, *given: Any, **options: Any) -> Self:
        made = super().__new__(cls)
        made.options = options
        return made

    def find(self) -> Any:
        """Find the data's files, before anything is read; None if there are none to find.

        FileNotFoundError, also of `load`, names the missing files and how to point to them.
        """
        return None

    @abc.abstractmethod
    def load(self, topology: Topology) -> Splits | dict[str, Sequence[Sample]]:
        """Read the data: the splits train, validation and test, structured for the topology.

        Returned as `sn.Splits`, together with the vocabulary and what else was learned from the
        training split; the task itself is left as it is, `keep` takes them over. What the task
        already knows, from a saved net, must be used instead of being learned again. A plain dict
        of splits will do where nothing is learned, or where `load` sets the attributes itself.
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
                    f"{tasks.called(self)} has learned {name!r}, which would not be saved: list "
                    f"it in `learned`, which has {list(self.learned)}"
                )
            # A task may compute its classes in a property.
            with suppress(AttributeError):
                setattr(self, name, value)

    def scores_nodes(self, topology: Topology) -> bool:
        """Whether every node has a target, and not every sample."""
        return False

    def predicts_nodes(self, topology: Topology) -> bool:
        """Whether predictions are shown for nodes; else for samples, by their `sample_output`."""
        return self.scores_nodes(topology)

    def predicted_nodes(self, sample: Sample) -> Sequence[int] | None:
        """The nodes of a sample whose predictions are shown; None for all."""

    def readout(self, topology: Topology) -> str:
        """The readout, if the configuration names none."""
        return "every" if self.scores_nodes(topology) else "root"

    def head(self, topology: Topology) -> str:
        """The head, if the configuration names none."""
        return "softmax"

    def loader(
        self, samples: Sequence[Sample], topology: Topology, **options: Any
    ) -> DataLoader[Any]:
        """The batches of a split, by `sn.loader`; a task may make others.

        Its `batch_sampler` has what `sn.Batches` has: `set_epoch`, `take`, `taken`, a length.

        Arguments:
            samples: the split, as `load` returned it.
            topology: plans the samples.
            options: those of `sn.loader` but for `group` and `min_batches`, as the trainer has
                them; `shuffle` for the training split, and `lanes`, the number of batches in its
                steps. Where batches follow each other, those of one lane do: batch number k,
                k + lanes, ...; its `batch_sampler` then says so by an attribute `follows`.
        """
        of_task = {"group": self.group, "min_batches": self.min_batches}
        return loader(samples, topology, **of_task, **options)

    def prepare(self, net: nn.Module, batch: Batch, states: Any, done: float) -> Batch:
        """A training batch as the net gets it, `done` being the share of training that is done.

        The net goes on from the states, as those of `net.carry`; from the start where None.
        """
        return batch

    def baselines(self) -> dict[str, dict[str, float]]:
        """Test metrics of models to compare with, fitted to what was `loaded`: name -> metrics."""
        return {}

    def check(self, topology: Topology) -> None:
        """ValueError if the task does not have the structures that a topology takes."""
        if topology.takes not in self.structures:
            fitting = [n for n in topologies.names() if topologies[n].takes in self.structures]
            raise ValueError(
                f"{tasks.called(self)} has structures of kind {list(self.structures)}, "
                f"{topologies.called(topology)} takes {topology.takes!r}; take a topology of "
                f"{fitting}"
            )

    @property
    def num_outputs(self) -> int:
        return len(self.classes)

    def sample_output(self, output: Tensor, batch: Batch) -> Tensor:
        """Scores (groups, classes), one row per decision; of roots if the readout is per node."""
        if len(output) == batch.num_samples:
            return output
        return output[batch.plans[0].sinks]

    def loss(self, output: Any, batch: Batch) -> Tensor:
        """The loss of the net's output: scores, or `sn.Scores`."""
        classes = output.shape[1] if isinstance(output, Tensor) else self.num_outputs
        check_targets(output, batch, classes, tasks.called(self))
        return self.cross_entropy(output, batch.y)

    def values(self, output: Tensor) -> Tensor:
        """The net's outputs as numbers in the targets' unit, of a task that `predicts_numbers`."""
        return output

    def cross_entropy(self, output: Any, y: Tensor, weights: Tensor | None = None) -> Tensor:
        """The mean over targets (n,) that are not IGNORE, weighted by `weights` of classes (C,)."""
        return cross_entropy(output, y, weights)

    def num_targets(self, output: Any, batch: Batch) -> Tensor:
        """How many targets the loss of a batch is the mean over: by default the known ones of `y`.

        A step of several batches weights their losses by it, so that it is the step of one batch
        with all their samples. A task with a mean over something else overrides it.
        """
        y = batch.y
        return (~y.isnan() if y.is_floating_point() else y != IGNORE).sum()

    def metrics(self) -> dict[str, Any]:
        """New metrics of torchmetrics, by name."""
        from torchmetrics.classification import MulticlassAccuracy

        return {
            name: MulticlassAccuracy(len(self.classes), average="micro", ignore_index=IGNORE)
            for name in ("accuracy", *self.kinds)
        }

    def measured(self, output: Tensor, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        """The outputs and targets that each metric is updated with, by its name.

        Of a net that returns `sn.Scores`, `output` is the logarithms of the probabilities, or the
        most probable classes (n,) where rows depend on each other; a task that `takes_scores` gets
        the scores.
        """
        if len(output) == len(batch.y) > batch.num_samples:
            y, kinds = batch.y, batch.kind[batch.sample_of_node()]
        else:
            output = self.sample_output(output, batch)
            y, kinds = batch.y[:: self.group], batch.kind[:: self.group]
        measured = {"accuracy": (output, y)}
        for index, kind in enumerate(self.kinds):
            mine = kinds == index
            measured[kind] = output[mine], y[mine]
        return measured

    def free_running(self, net: nn.Module, batch: Batch, quick: bool) -> dict[str, tuple[Any, Any]]:
        """The same for metrics of what a net writes by itself, reading what it wrote before.

        Arguments:
            net: in evaluation.
            batch: of the validation or test split.
            quick: whether training goes on afterwards, so that time matters.
        """
        return {}
