"""Benchmarks: time and memory of compositions, beside their rivals."""
