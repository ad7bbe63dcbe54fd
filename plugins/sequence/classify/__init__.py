"""Texts with classes: their files and corpora, splits and the words that weighed most."""
