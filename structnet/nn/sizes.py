"""What a task tells a net of its data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from structnet.data.transitions import Transitions
from structnet.data.vocabulary import Vocabulary


@dataclass(frozen=True)
class Sizes:
    """What a task tells a net of its data: what enters a node, and the number of outputs.

    Arguments:
        vocabulary: the words, where nodes have tokens; else None.
        input_size: the number of features of a node, where nodes have features; else None.
        num_outputs: the number of outputs of the head.
        sees: where the task predicts the nodes' input: for every output, how many of the features
            of its own node it may depend on.
        condition: what a sample is given beside its input, as the task describes it.
        edge_size: the number of features of an edge; None where edges have none.
        parts: what the further structures of a sample are, by name.
        transitions: which classes may follow which; None where all may.
        apart: whether directions must not see each other, as each predicts what the others read.
        pretrained: a trained net over tokens, whose states the net reads beside its own input; None
            for none: an `nn.pretrained.Pretrained`.
        embedding: the net's embedding, whose weights the head shares; None where it has its own.
    """

    vocabulary: Vocabulary | None
    input_size: int | None
    num_outputs: int
    sees: Sequence[int] | None = None
    condition: Any = None
    edge_size: int | None = None
    parts: Sequence[str] = ()
    transitions: Transitions | None = None
    apart: bool = False
    pretrained: Any = None
    embedding: nn.Module | None = None
