"""Configurations: composed by Hydra from signatures, files and words, checked, plain data."""
