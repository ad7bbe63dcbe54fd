"""Serving a trained run: requests in JSON, batched by nodes, and sessions of one step at a time."""
