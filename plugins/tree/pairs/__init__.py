"""Pairs of formulas and of sentences, and what is read of them."""
