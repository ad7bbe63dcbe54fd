"""Variable misuse: does a function of real Python code read the variable that was meant?"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from structnet.plugins.code.sources import python_files, split_files, standard_library
from structnet.plugins.graph.dataflow.misuse import Misuse, ask_all, draw
from torch import Tensor

import structnet as sn

# Of a user's use, so many other variables are asked about.
OTHERS = 4


@sn.tasks.register("callgraph")
class Callgraph(sn.Task):
    """Which of two variables was read at a place, told by the data flow of the function.

    The variable misuse of Allamanis et al. (2018), section 4.2, as a choice between two. The
    samples are uses of variables in the functions of the Python files below `root`, tests left out
    (null: the standard library), at most eight a function, each with another variable that is
    defined there; `self` and `cls` are left out. Files, one in ten each, make the validation and
    test splits, where half of the samples read the other variable. A graph holds the values that
    flow from definitions to uses, operations and calls, the nearest ones, `nodes` in all; the use
    comes first and the definition that it reads last, so that readout `ends` has the two ends of
    the edge in question. A use doesn't tell the variable's name, its definition does. Words seen
    fewer than `min_count` times in training are unknown.

    The net gives each of the two graphs, which have the same nodes, one score: these are the two
    classes' logits, so that exchanging the variables exchanges the probabilities, exactly.

    Arguments:
        root: a Python file or a folder with such files below; null is the standard library.
        min_count: the times that a word is seen in training at least, to be known.
        nodes: the most nodes of a graph, the nearest ones.
    """

    structures = ("graph",)
    classes = ("as written", "misused")
    wanted = "misused"
    group = 2
    num_outputs = 1

    def __init__(self, *, root: str | None = None, min_count: int = 3, nodes: int = 16):
        for name, value in (("min_count", min_count), ("nodes", nodes)):
            if value < 1:
                raise ValueError(f"option {name!r} is at least 1, got {value}")
        self.root = None if root is None else Path(root).expanduser()
        self.min_count, self.nodes = min_count, nodes

    def readout(self, topology: sn.Topology) -> str:
        return "ends"

    def find(self) -> dict[str, list[Path]]:
        return split_files(self.root)

    def load(self, topology: sn.Topology) -> dict[str, Sequence[sn.Sample]]:
        random = np.random.default_rng(0)
        splits = self.find()
        found = {name: list(draw(files, random)) for name, files in splits.items()}
        for name, some in found.items():
            if not some:
                raise ValueError(
                    f"no uses of variables for the {name} split below "
                    f"{self.root or standard_library()} ({len(splits[name])} files); give "
                    "task.root a folder with more Python files"
                )
        self._found = found
        if self.vocabulary is None:
            read = dict.fromkeys(misuse.function for misuse in found["train"])
            words = (word for function in read for bag in function.words for word in bag)
            self.vocabulary = sn.Vocabulary.count(words, self.min_count)
        return {
            name: [
                sample
                for misuse, wrong in zip(some, self._shown(name, len(some)), strict=True)
                for sample in self._pair(misuse, wrong)
            ]
            for name, some in found.items()
        }

    @staticmethod
    def _shown(split: str, count: int) -> list[bool]:
        """Which are shown misused. The loss is the same either way, so none is in training."""
        if split == "train":
            return [False] * count
        return (np.random.default_rng(0).permutation(count) % 2 == 1).tolist()

    def sample_output(self, output: Tensor, batch: sn.Batch) -> Tensor:
        return output.view(-1, self.group)

    def loss(self, output: Tensor, batch: sn.Batch) -> Tensor:
        scores = self.sample_output(output, batch)
        return self.cross_entropy(scores, batch.y[:: self.group])

    def baselines(self) -> dict[str, dict[str, float]]:
        # Imported here: scikit-learn takes a second, and only training needs it.
        from structnet.plugins.graph.dataflow.neighbourhood import fit_neighbourhoods

        found = fit_neighbourhoods(self._found["train"], self._found["test"])
        return {name: {"accuracy": float(hits.mean())} for name, hits in found.items()}

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        for misuse in ask_all(python_files(path, tests=True), OTHERS):
            yield from self._pair(misuse, False)

    def _pair(self, misuse: Misuse, wrong: bool) -> Iterator[sn.Sample]:
        """The graph as it is shown and with the other of the two variables."""
        assert self.vocabulary is not None
        nodes = misuse.nodes(self.nodes)
        for name in misuse.names[::-1] if wrong else misuse.names:
            order, index = misuse.graph(name, nodes)
            words = [misuse.function.words[node] for node in order.tolist()]
            yield sn.Sample(
                structure=sn.Edges(index, len(order)),
                x=self.vocabulary.tokens(words),
                y=int(wrong),
                origin=misuse,
            )
