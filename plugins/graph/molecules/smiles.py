"""Molecules in SMILES as graphs of atoms and bonds, read by RDKit."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from structnet.plugins.files.lines import Line

# An atom's one-hot features, where anything not listed counts as the last; then charge and flags.
ELEMENTS = ("C", "N", "O", "F", "P", "S", "Cl", "Br", "I", "other")
HYBRIDISATIONS = ("SP", "SP2", "SP3", "OTHER")
NEIGHBOURS, HYDROGENS = 5, 5
ATOM_SIZE = len(ELEMENTS) + NEIGHBOURS + HYDROGENS + len(HYBRIDISATIONS) + 3
# A bond's one-hot features, then two flags.
BONDS = ("SINGLE", "DOUBLE", "TRIPLE", "AROMATIC")
BOND_SIZE = len(BONDS) + 2


class Molecule(NamedTuple):
    """Symbols (n) and features (n, ATOM_SIZE) of atoms; bonds (2, E) in both directions.

    The features of an atom are its element, number of neighbours and of hydrogens, hybridisation,
    charge, and whether it is aromatic and in a ring; those of a bond (E, BOND_SIZE) its order, and
    whether it is conjugated and in a ring.
    """

    symbols: tuple[str, ...]
    atoms: NDArray[np.float32]
    bonds: NDArray[np.int64]
    bond_features: NDArray[np.float32]


def read_molecule(smiles: str, line: Line) -> Molecule:
    """Parse SMILES; ValueError names file, line and text. ImportError without RDKit."""
    try:
        from rdkit import Chem, rdBase
    except ModuleNotFoundError as error:
        raise ImportError(
            "SMILES are read by RDKit, which is not installed: pip install rdkit, or install "
            "structnet with its extra 'molecules'"
        ) from error
    # RDKit would write its error messages to the terminal.
    with rdBase.BlockLogs():
        parsed = Chem.MolFromSmiles(smiles)
    if parsed is None or not parsed.GetNumAtoms():
        raise line.refuse(smiles, "a molecule in SMILES that RDKit can read")
    atoms = list(parsed.GetAtoms())
    pairs, features = [], []
    for bond in parsed.GetBonds():
        ends = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        pairs += [ends, ends[::-1]]
        features += 2 * [_bond(bond)]
    return Molecule(
        tuple(atom.GetSymbol() for atom in atoms),
        np.array([_atom(atom) for atom in atoms], np.float32),
        np.array(pairs, np.int64).reshape(-1, 2).T,
        np.array(features, np.float32).reshape(-1, BOND_SIZE),
    )


def _atom(atom: Any) -> list[float]:
    return [
        *_one_hot(atom.GetSymbol(), ELEMENTS),
        *_one_hot(atom.GetDegree(), range(NEIGHBOURS)),
        *_one_hot(atom.GetTotalNumHs(), range(HYDROGENS)),
        *_one_hot(str(atom.GetHybridization()), HYBRIDISATIONS),
        float(atom.GetFormalCharge()),
        float(atom.GetIsAromatic()),
        float(atom.IsInRing()),
    ]


def _bond(bond: Any) -> list[float]:
    order = [float(str(bond.GetBondType()) == name) for name in BONDS]
    return [*order, float(bond.GetIsConjugated()), float(bond.IsInRing())]


def _one_hot(value: Any, known: Any) -> list[float]:
    at = list(known).index(value) if value in known else len(known) - 1
    return [float(at == i) for i in range(len(known))]
