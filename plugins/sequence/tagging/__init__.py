"""Sentences with a tag per word: their files, entities, measures and models to compare with."""
