"""Molecules, read from SMILES and from tagged graphs."""
