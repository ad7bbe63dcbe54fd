"""Finite automata: from regular expressions, sampled, read back out of nets, and drawn."""
