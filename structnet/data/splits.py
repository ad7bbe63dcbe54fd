"""What a task loads."""

from collections.abc import Mapping, Sequence
from typing import Any

from structnet.data.batch import Sample
from structnet.data.vocabulary import Vocabulary


class Splits(dict[str, Sequence[Sample]]):
    """The splits of a task's data, and what was learned from the training split.

    Arguments:
        splits: the samples of each split, by its name: train, validation and test.
        vocabulary: the known words, for a task over tokens.
        source: whatever else the task's loss and baselines need, such as the data that the samples
            were made from. It is not saved.
        learned: plain data by the name of an attribute of the task: `classes`, or one that the
            task lists in `learned`. It is saved with the net.
    """

    def __init__(
        self,
        splits: Mapping[str, Sequence[Sample]],
        *,
        vocabulary: Vocabulary | None = None,
        source: Any = None,
        **learned: Any,
    ):
        super().__init__(splits)
        self.vocabulary, self.source, self.learned = vocabulary, source, learned
