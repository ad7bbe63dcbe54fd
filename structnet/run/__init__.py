"""A training run: its components, and the files in its directory."""
