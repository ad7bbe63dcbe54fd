"""Benchmarks: time and memory of compositions, next to their rivals."""
