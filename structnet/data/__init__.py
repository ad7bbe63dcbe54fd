"""Samples with their structures, batches of them, and tasks."""
