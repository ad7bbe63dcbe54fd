"""Configurations: signatures and conf/ composed into plain data."""
