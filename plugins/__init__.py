"""The built-in topologies and their tasks, written with the public API only."""
