"""Datasets of torch_geometric, opened offline and without pickle."""
