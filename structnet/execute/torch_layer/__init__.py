"""Torch's own recurrent layers, and the cells that compute the same."""
