"""A training run on disk: what it is made of, and the files that it consists of."""
