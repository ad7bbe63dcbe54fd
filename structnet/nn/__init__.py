"""Modules to build models from: recurrences, stacks, readouts, nets."""
