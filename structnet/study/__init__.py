"""Studies of several runs: sweeps and comparisons, with their tables."""
