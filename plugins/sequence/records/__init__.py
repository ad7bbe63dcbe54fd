"""Sequences of records in long format: a row for every step, of many sequences."""
