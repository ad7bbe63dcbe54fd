"""What a task tells of pictures: what its nodes are called, and how a sample is drawn."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from structnet.data.batch import Sample, Tokens
from structnet.data.drawing import Drawing
from structnet.data.mixed import Mixed
from structnet.data.vocabulary import Vocabulary
from structnet.topology.base import Topology


class Showing:
    """The part of a task that shows samples and what a net has learned.

    Attributes:
        vocabulary: the known words of a task over tokens.
    """

    vocabulary: Vocabulary | None = None

    def illustrate(
        self, net: nn.Module, topology: Topology, samples: Sequence[Sample]
    ) -> dict[str, Any]:
        """Pictures of what a net has learned, during training: name -> object with `save(path)`."""
        return {}

    def node_names(self, sample: Sample) -> Sequence[str] | None:
        """The names of a sample's nodes in pictures, in order; None if they have none.

        By default these are the nodes' words, for a task with a vocabulary.
        """
        x = sample.x.tokens if isinstance(sample.x, Mixed) else sample.x
        if self.vocabulary is None or not isinstance(x, Tokens):
            return None
        return [" ".join(words) for words in self.vocabulary.words(x)]

    def drawing(self, sample: Sample, scores: Tensor | None) -> Drawing | None:
        """How a sample is shown, with scores (n, classes) of its nodes if given; None: by level."""
        return None

    def spans(self, labels: Sequence[str]) -> Sequence[tuple[int, int, str]] | None:
        """What the classes of a sample's nodes say of stretches of them, such as names of people.

        The first node of each, the one after its last, and what it is; None where every node stands
        by itself.
        """
        return None
