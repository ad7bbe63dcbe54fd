"""Several runs as one: sweeps, comparisons and their tables."""
