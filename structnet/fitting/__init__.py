"""A run from its start to its end, from the command line and from Python."""
