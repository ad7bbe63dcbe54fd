"""Neural architectures sampled by ENAS, and their accuracies."""

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.files.lines import Line, read_lines

FILE = "final_structures6.txt"
LAYERS = 6
OPERATIONS = ("conv3", "sep3", "conv5", "sep5", "avg3", "max3")
VERTICES = ("input", *OPERATIONS, "output")
GRAMMAR = "[[operation], [operation, bit], [operation, bit, bit], ...], accuracy"
LAYER = r"\[(?:0|[1-9][0-9]{0,2})(?:, ?(?:0|[1-9][0-9]{0,2}))*\]"
LINE = re.compile(rf"(\[{LAYER}(?:, ?{LAYER})*\])(?:, ?(\S+))?\s*")
NUMBER = re.compile(r"[0-9]{1,20}(?:\.[0-9]{0,20})?")


@dataclass(frozen=True)
class Architecture:
    """Operation and bits of every layer, and the accuracy in per cent, NaN where unknown.

    Every layer reads the vertex before it; bit j says whether it reads vertex j as well. Vertex 0
    is the input, vertices 1 to 6 are the layers, vertex 7 is the output.
    """

    layers: Sequence[Sequence[int]]
    accuracy: float
    origin: Line

    def edges(self) -> NDArray[np.int64]:
        """The edges (2, E), sorted by target."""
        pairs = [
            (source, target)
            for target, (_, *bits) in enumerate(self.layers, start=1)
            for source in [*(j for j, bit in enumerate(bits) if bit), target - 1]
        ]
        return np.array([*pairs, (LAYERS, LAYERS + 1)], np.int64).T

    def features(self) -> NDArray[np.float32]:
        """The features (8, 16) of the vertices: operation and position, both one-hot."""
        does = [0, *(1 + operation for operation, *_ in self.layers), len(VERTICES) - 1]
        return np.concatenate([np.eye(len(VERTICES))[does], np.eye(LAYERS + 2)], axis=1, dtype="f4")


@sn.tasks.register("enas")
class ENAS(sn.Regression):
    """The accuracy, in per cent, of a neural network of six layers, whose architecture is a DAG.

    19,020 architectures sampled by ENAS (Pham et al. 2018), with their accuracies on CIFAR-10 under
    shared weights, as used by Zhang et al. (2019) for D-VAE: final_structures6.txt. The test split
    is the last tenth after D-VAE's shuffle, so that it holds the same architectures; validation is
    the last tenth of the rest. `relative_rmse` is in the unit of their RMSE. A vertex has its
    operation and its position as features; in D-VAE the position is given to its successors.

    Arguments:
        root: the folder with final_structures6.txt; null is dags/enas/ of the folder that
            STRUCTNET_DATA names.
        skip: how many lines at the start of the file are left out.
    """

    structures = ("graph",)
    unit = "% accuracy"
    input_size = len(VERTICES) + LAYERS + 2

    def __init__(self, *, root: str | None = None, skip: int = 1000):
        if skip < 0:
            raise ValueError(f"option 'skip' is at least 0, got {skip}")
        self.root, self.skip = root, skip

    def find(self) -> Path:
        return sn.data_folder(self.root, "dags/enas", [FILE]) / FILE

    def load(self, topology: sn.Topology) -> sn.Splits:
        path = self.find()
        found = list(read_architectures(path, labelled=True))[self.skip :]
        if len(found) < 10:
            raise ValueError(
                f"{path} has {len(found)} architectures after the first {self.skip}; the splits "
                "take ten: set task.skip to fewer"
            )
        random.Random(0).shuffle(found)
        rest = found[: int(0.9 * len(found))]
        validation = len(rest) - len(rest) // 9
        architectures = {
            "train": rest[:validation],
            "validation": rest[validation:],
            "test": found[len(rest) :],
        }
        splits = {split: list(map(_sample, some)) for split, some in architectures.items()}
        scale = self.scale_of([one.accuracy for one in architectures["train"]])
        return sn.Splits(splits, source=architectures, scale=scale)

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        """Architectures in the format of the data, with or without their accuracies."""
        return map(_sample, read_architectures(path))

    def baselines(self) -> dict[str, dict[str, float]]:
        """Regressions on the operation of every layer and the presence of every edge, one-hot."""
        from structnet.plugins.baselines.features import fit_numbers

        def table(split: str) -> tuple[NDArray, NDArray]:
            some = self.loaded.source[split]
            return np.stack(list(map(_flat, some))), np.array([one.accuracy for one in some])

        return fit_numbers(table("train"), table("test"))

    def node_names(self, sample: sn.Sample) -> Sequence[str]:
        return [VERTICES[does] for does in sample.x[:, : len(VERTICES)].argmax(1)]


def read_architectures(path: Path, labelled: bool = False) -> Iterator[Architecture]:
    """The architectures of a file, one per line.

    With `labelled`, every line must have an accuracy. ValueError names file, line, value and what
    was expected.
    """
    for line in read_lines(path):
        match = LINE.fullmatch(line.text)
        if match is None or labelled > (match[2] is not None):
            raise line.refuse(line.text, GRAMMAR)
        layers = json.loads(match[1])
        _check_layers(layers, line)
        yield Architecture(layers, _accuracy(match[2], line), line)


def _check_layers(layers: list[list[int]], line: Line) -> None:
    if len(layers) != LAYERS:
        raise line.refuse(layers, f"{LAYERS} layers, got {len(layers)}")
    for number, layer in enumerate(layers):
        operation, *bits = layer
        if operation >= len(OPERATIONS):
            raise line.refuse(layer, f"an operation from 0 to {len(OPERATIONS) - 1} first")
        if len(bits) != number or not set(bits) <= {0, 1}:
            raise line.refuse(layer, f"an operation and {number} bits, 0 or 1, in layer {number}")


def _accuracy(text: str | None, line: Line) -> float:
    if text is None:
        return float("nan")
    if not NUMBER.fullmatch(text) or float(text) > 1:
        raise line.refuse(text, "an accuracy from 0 to 1")
    return 100 * float(text)


def _sample(one: Architecture) -> sn.Sample:
    structure = sn.Edges(one.edges(), LAYERS + 2)
    return sn.Sample(structure, one.features(), np.float32(one.accuracy), origin=one.origin)


def _flat(one: Architecture) -> NDArray[np.float32]:
    """The operations, one-hot, and all bits, in the order of the layers."""
    operations = np.eye(len(OPERATIONS), dtype=np.float32)[[layer[0] for layer in one.layers]]
    bits = [bit for _, *bits in one.layers for bit in bits]
    return np.concatenate([operations.ravel(), np.array(bits, np.float32)])
