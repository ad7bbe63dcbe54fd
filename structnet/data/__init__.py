"""Samples, batches, loaders and tasks."""
