"""Weights under the names and in the layout of torch's recurrent modules."""
