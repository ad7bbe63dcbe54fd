"""The solubility of molecules in water."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.files.lines import Line
from structnet.plugins.files.tables import read_rows
from structnet.plugins.graph.molecules.smiles import ATOM_SIZE, BOND_SIZE, Molecule, read_molecule

FILE = "delaney-processed.csv"
SMILES, TARGET = "smiles", "measured log solubility in mols per litre"


@dataclass(frozen=True)
class Compound:
    """A molecule and its solubility, NaN where unknown."""

    molecule: Molecule
    solubility: float
    origin: Line


@sn.tasks.register("esol")
class ESOL(sn.Regression):
    """The solubility of a molecule in water, in log mol/L; 1,128 molecules.

    Delaney (2004), in the version of MoleculeNet (Wu et al. 2018): delaney-processed.csv, whose
    SMILES are read by RDKit. A random tenth each makes the validation and the test split, as in
    MoleculeNet's random split. Bonds have features of their own.

    Arguments:
        root: the folder with delaney-processed.csv; null is molecules/esol/ of the folder that
            STRUCTNET_DATA names.
        seed: the seed of the random splits.
    """

    structures = ("undirected",)
    unit = "log mol/L"
    input_size, edge_size = ATOM_SIZE, BOND_SIZE

    def __init__(self, *, root: str | None = None, seed: int = 0):
        if seed < 0:
            raise ValueError(f"option 'seed' is at least 0, got {seed}")
        self.root, self.seed = root, seed

    def readout(self, topology: sn.Topology) -> str:
        return "mean"

    def find(self) -> Path:
        return sn.data_folder(self.root, "molecules/esol", [FILE]) / FILE

    def load(self, topology: sn.Topology) -> sn.Splits:
        path = self.find()
        found = list(read_compounds(path, labelled=True))
        if len(found) < 10:
            raise ValueError(f"{path} has {len(found)} molecules, expected 10 or more")
        order = np.random.default_rng(self.seed).permutation(len(found))
        ends = [0, int(0.8 * len(found)), int(0.9 * len(found)), len(found)]
        compounds = {
            split: [found[i] for i in order[start:end]]
            for split, start, end in zip(
                ("train", "validation", "test"), ends[:-1], ends[1:], strict=True
            )
        }
        splits = {split: list(map(_sample, some)) for split, some in compounds.items()}
        scale = self.scale_of([one.solubility for one in compounds["train"]])
        return sn.Splits(splits, source=compounds, scale=scale)

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        """The molecules of a CSV file with a column `smiles`."""
        return map(_sample, read_compounds(path))

    def baselines(self) -> dict[str, dict[str, float]]:
        """Regressions on the number of atoms and bonds of each kind."""
        from structnet.plugins.baselines.features import fit_numbers

        def table(split: str) -> tuple[NDArray, NDArray]:
            some = self.loaded.source[split]
            counts = [
                np.concatenate([one.molecule.atoms.sum(0), one.molecule.bond_features.sum(0)])
                for one in some
            ]
            return np.stack(counts), np.array([one.solubility for one in some])

        return fit_numbers(table("train"), table("test"))

    def node_names(self, sample: sn.Sample) -> Sequence[str] | None:
        origin = sample.origin
        if origin is None:
            return None
        line = Line(origin.path, origin.line, origin.text)
        return read_molecule(line.text, line).symbols


def read_compounds(path: Path, labelled: bool = False) -> Iterator[Compound]:
    """The molecules of a CSV file, whose first line names the columns.

    With `labelled`, each must have a number in the column of solubilities. ValueError names file,
    line, value and what was expected.
    """
    rows = read_rows(path)
    _, names = next(rows, (1, []))
    for name in (SMILES, TARGET) if labelled else (SMILES,):
        if name not in names:
            raise Line(path, 1, "").refuse(",".join(names), f"a column named {name!r}")
    for number, row in rows:
        line = Line(path, number, ",".join(row))
        if len(row) != len(names):
            raise line.refuse(line.text, f"{len(names)} columns, got {len(row)}")
        cells = dict(zip(names, row, strict=True))
        smiles = cells[SMILES].strip()
        at = Line(path, number, smiles)
        solubility = _number(cells[TARGET], at) if labelled else math.nan
        yield Compound(read_molecule(smiles, at), solubility, at)


def _number(text: str, line: Line) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise line.refuse(text, f"a number, the {TARGET}")
    return value


def _sample(one: Compound) -> sn.Sample:
    molecule = one.molecule
    return sn.Sample(
        sn.Edges(molecule.bonds, len(molecule.atoms)),
        molecule.atoms,
        np.float32(one.solubility),
        origin=one.origin,
        edge_x=molecule.bond_features,
    )
