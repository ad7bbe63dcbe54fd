"""Commands on sequences."""
