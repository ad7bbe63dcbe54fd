"""Treebanks: readers of labelled trees, and what is done to trees before they are learned."""
