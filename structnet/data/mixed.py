"""Nodes with tokens and numbers side by side."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class Mixed:
    """Tokens and numbers of n nodes, such as the categories and the measurements of a record.

    Arguments:
        tokens: a bag of tokens for every node, `Tokens`.
        numbers: (n, D), float32.

    ValueError unless both have as many nodes.
    """

    tokens: Any
    numbers: Any

    def __post_init__(self) -> None:
        if len(self.tokens) != len(self.numbers):
            raise ValueError(
                f"tokens of {len(self.tokens)} nodes and numbers of {len(self.numbers)}: give both "
                "for every node"
            )

    def __len__(self) -> int:
        return len(self.numbers)

    def map(self, move: Callable[[Any], Any]) -> "Mixed":
        return Mixed(self.tokens.map(move), move(self.numbers))
