"""What tasks of own data share: options, classes or numbers, metrics and the schema."""

import abc
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.files.given import GivenSplits
from structnet.plugins.files.lines import shown
from structnet.plugins.files.splits import SPLITS
from structnet.plugins.tables.either import ClassesOrNumbers
from structnet.plugins.tables.prints import compare_prints
from structnet.plugins.tables.schema import Kind, Schema
from structnet.plugins.tables.scoring import Loss, check_quantile
from structnet.plugins.tables.splitting import Splitting
from structnet.plugins.tables.store import targets_of
from structnet.plugins.tables.targets import Goal

# Of classes, in place of the mean and deviation of numbers.
NO_SCALE = (0.0, 1.0)
# The most classes that are listed.
MOST_CLASSES = 20


class OwnData(GivenSplits, ClassesOrNumbers):
    """A task over a user's own records, of classes or of numbers as their target column has them.

    Arguments:
        root: the file, or a folder with files of one kind, that is split.
        target: the column to predict, or several columns of numbers.
        goal: whether it holds a class or a number; null for what its values are.
        loss: of classes cross_entropy, or balanced, where every class counts as much; of numbers
            squared, absolute, huber, poisson for counts, or quantile; auto is the first of these.
        quantile: the quantile that loss=quantile learns, such as 0.9, below which nine targets of
            ten lie.
        metrics: further metrics, of classes balanced_accuracy, macro_f1, macro_precision,
            macro_recall, auroc, cohen_kappa, matthews; of numbers spearman, r2, mape, smape,
            poisson.
        monitor: the metric that selects the best epoch; null for accuracy, rmse, relative_rmse of
            several numbers, or pinball with loss=quantile.
        numbers: columns that are read as numbers, whatever they look like.
        categories: columns that are read as categories.
        texts: columns that are read as texts.
        ignore: columns that are not read.
        fractions: the shares of train, validation and test.
        split_column: a column that says train, validation or test.
        by_time: whether the latest samples are tested on, the latest but these validated on.
        group: a column whose equal values stay in one split.
        stratify: whether every class is split by the fractions.
        batches: an epoch has about this number of batches or more, as a batch has at most this
            part of all nodes: 32 for a 32nd.
        min_count: how often a category or word must occur in training to be known.
        seed: with which splits are drawn.
    """

    learned = ("scale", "schema")
    suggested: ClassVar = {"trainer": {"max_epochs": 30, "patience": 8}}
    # What was learned of the columns, as plain data; None before.
    schema: Any = None
    takes_data: ClassVar = True

    def __init__(
        self,
        *,
        target: str | tuple[str, ...] | None = None,
        goal: Goal | None = None,
        loss: Loss = "auto",
        quantile: float | None = None,
        metrics: tuple[str, ...] = (),
        monitor: str | None = None,
        numbers: tuple[str, ...] = (),
        categories: tuple[str, ...] = (),
        texts: tuple[str, ...] = (),
        ignore: tuple[str, ...] = (),
        fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
        split_column: str | None = None,
        by_time: bool = False,
        group: str | None = None,
        stratify: bool = True,
        batches: int = 32,
        min_count: int = 1,
        seed: int = 0,
        **options: Any,
    ):
        super().__init__(**options)
        for name, value in {"min_count": min_count, "batches": batches}.items():
            if value < 1:
                raise ValueError(f"task.{name} is at least 1, got {value}")
        self.splitting = Splitting(fractions, by_time, stratify, self.folds, seed)
        self.targets = (target,) if isinstance(target, str) else tuple(target or ())
        self.goal: Goal | None = goal
        self.loss_name, self.more, self.chosen = loss, tuple(metrics), monitor
        self.quantile = check_quantile(loss, quantile)
        self.fixed: dict[str, Kind] = {
            **dict.fromkeys(numbers, "number"),
            **dict.fromkeys(categories, "category"),
            **dict.fromkeys(texts, "text"),
        }
        named = {"numbers": numbers, "categories": categories, "texts": texts, "ignore": ignore}
        self.columns_named = {f"task.{option}": tuple(some) for option, some in named.items()}
        self.ignore, self.split_column, self.group_column = tuple(ignore), split_column, group
        self.min_count, self.min_batches = min_count, batches
        if len(self.targets) > 1:
            self.outputs = self.targets
        self.set_monitor()

    def know(self, vocabulary: Any, learned: Mapping[str, Any]) -> None:
        super().know(vocabulary, learned)
        if self.schema is not None:
            self._check_schema()
            self.input_size = self.read_schema().input_size
            self.set_monitor()

    def read_schema(self) -> Schema:
        """The schema that was learned."""
        return Schema.of(self.schema["columns"], self.vocabulary)

    def _check_schema(self) -> None:
        """ValueError for what is no schema: a run's files may come from anyone."""
        known = self.schema
        if not isinstance(known, dict) or known.get("goal") not in ("class", "number"):
            raise ValueError(f"learned, 'schema' is not one of {sn.tasks.called(self)}: "
                             f"{shown(known)}")  # fmt: skip

    def keep(self, splits: Mapping[str, Sequence[sn.Sample]]) -> sn.Splits:
        """Take over what was loaded, with fingerprints of its files.

        A DataWarning where a file that the net was trained on has changed since.
        """
        known = None if self.schema is None else self.schema.get("files")
        prints = compare_prints(known, self.find())
        if isinstance(splits, sn.Splits) and "schema" in splits.learned:
            files = prints if known is None else known
            splits.learned["schema"] = {**splits.learned["schema"], "files": files}
        return super().keep(splits)

    def find(self) -> dict[str, Any]:
        """What is read, by split: `all` where splits are drawn.

        ValueError where nothing is given, or root and files of splits; FileNotFoundError.
        """
        if self.data is not None:
            self.refuse_beside("data", "...")
            return {"all": self.data}
        if not (given := self.paths()):
            raise ValueError(
                f"{sn.tasks.called(self)} reads your own data: set task.root=FILE, or "
                "task.train=FILE with task.validation and task.test"
            )
        return given

    def split(
        self,
        given: Sequence[str],
        *,
        labels: NDArray[Any] | None = None,
        groups: Sequence[Any] | None = None,
        times: NDArray[Any] | None = None,
    ) -> list[str]:
        """The split of every sample, of which the split where it was read is known.

        Arguments:
            given: the name of a split, or `all`, of each sample.
            labels, groups, times: those of `Splitting.draw`; samples of a class that was not drawn
                for training are trained on, but for groups and times.
        """
        drawn = np.array([name in ("all", "train") for name in given])
        wanted = [name for name in SPLITS if name == "train" or name not in given]
        self.folds.refuse_given(wanted)
        if len(wanted) == 1:
            return list(given)
        at = np.flatnonzero(drawn)
        some = self.splitting.draw(
            len(at),
            labels=None if labels is None else labels[at],
            groups=None if groups is None else [groups[one] for one in at.tolist()],
            times=None if times is None else times[at],
            wanted=wanted,
        )
        split = np.array(given, object)
        split[at] = some
        if labels is not None and groups is None and times is None:
            # A class that was not drawn for training can't be learned: there it is.
            lacking = ~np.isin(labels, labels[split == "train"]) & (np.array(given) == "all")
            split[lacking] = "train"
            for name in wanted:
                if name not in split:
                    raise ValueError(
                        f"no sample is left for {name}: {len(at)} samples are too few for their "
                        f"{len(np.unique(labels))} classes, each of which has to be trained on; "
                        "give more, or the splits as files of their own"
                    )
        return split.tolist()

    def learned_splits(self, splits: Mapping[str, Sequence[sn.Sample]], encoder: Any) -> sn.Splits:
        """Splits with what an encoder learned: `roles`, `schema`, `classes` and `plain()`."""
        y = targets_of(splits["train"])
        learned: dict[str, Any] = {"schema": encoder.plain(), "scale": NO_SCALE}
        if encoder.roles.goal == "class":
            learned["classes"] = encoder.classes
            self.weigh(y, len(encoder.classes))
        else:
            if self.loss_name == "poisson":
                _refuse_negative(splits["train"], encoder.roles.target)
            learned["scale"] = self.scale_of(y)
        return sn.Splits(splits, vocabulary=encoder.schema.vocabulary, **learned)

    def show_data(
        self,
        rows: Sequence[Sequence[str]],
        what: str,
        sizes: NDArray[Any],
        parts: str,
        encoder: Any,
        splits: Mapping[str, Sequence[sn.Sample]],
    ) -> None:
        """Print the rows of a schema, how large samples are, and how often there is each class."""
        sn.print_rows(("column", "kind", "values", "missing", "of"), rows, left=(0, 1, 2, 4))
        print(
            f"{len(sizes):,} {what} of {sizes.min():,} to {sizes.max():,} {parts}, "
            f"{np.median(sizes):,.0f} in the middle; "
            + ", ".join(f"{len(some):,} {name}" for name, some in splits.items())
        )
        # Where nodes are split, a tree or graph is in several splits, with targets of some nodes.
        if sum(map(len, splits.values())) == len(sizes):
            _show_missing(np.concatenate([targets_of(some) for some in splits.values()]))
        if encoder.classes:
            self.show_classes(encoder.classes, splits["train"])

    def show_classes(self, classes: Sequence[str], samples: Sequence[sn.Sample]) -> None:
        """Print how often each class is in training, the most frequent first."""
        y = targets_of(samples)
        counts = np.bincount(y[y >= 0], minlength=len(classes))
        order = np.argsort(-counts, kind="stable")
        most = [f"{classes[at]} {counts[at]:,}" for at in order[:MOST_CLASSES]]
        more = f", {len(classes) - MOST_CLASSES} more" if len(classes) > MOST_CLASSES else ""
        print(sn.visible(f"classes in training: {', '.join(most)}{more}"))

    @abc.abstractmethod
    def features(self, samples: Sequence[sn.Sample]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Features (n, F) of what has a target in samples, and the targets (n,), for baselines."""

    def baselines(self) -> dict[str, dict[str, float]]:
        """Test figures of models that are fitted to `features`: name -> metrics."""
        from structnet.plugins.tables.baselines import fit_classes, fit_numbers, fit_quantile

        if self.outputs:
            return {}
        train, test = (_known(*self.features(self.loaded[name])) for name in ("train", "test"))
        if not len(train[1]) or not len(test[1]):
            return {}
        if self.quantile is not None:
            return fit_quantile(train, test, self.quantile)
        if self.predicts_numbers:
            return fit_numbers(train, test, self.more)
        return fit_classes(train, test, self.more, len(self.classes))


def _show_missing(y: NDArray[Any]) -> None:
    """Print how many targets there are without a value, if there are any."""
    missing = int((np.isnan(y) if y.dtype.kind == "f" else y < 0).sum())
    if missing:
        print(f"{missing:,} of {y.size:,} targets are missing: these are not learned")


def _refuse_negative(samples: Sequence[sn.Sample], targets: Sequence[str]) -> None:
    """ValueError, which names the place, for a target that is no count."""
    for sample in samples:
        y = np.atleast_1d(sample.y)
        if (y < 0).any():
            origin: Any = sample.origin
            at = int(np.argwhere(y < 0)[0, 0])
            place = f"line {origin.line}" + (f", step or node {at + 1}" if len(y) > 1 else "")
            raise ValueError(
                f"{origin.path}, {place}: {y[y < 0][0]:.6g} in {', '.join(targets)}, expected "
                "counts from 0 on, as task.loss=poisson takes; for others set task.loss=squared, "
                "absolute or huber"
            )


def _known(x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The rows whose target is known."""
    rows = ~np.isnan(y) if y.dtype.kind == "f" else y >= 0
    return x[rows], y[rows]
