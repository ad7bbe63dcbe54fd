"""Executors: what runs a cell over a plan."""
