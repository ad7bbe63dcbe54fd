"""Choices for the command line: configuration files, no code."""
