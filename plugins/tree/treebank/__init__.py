"""Sentences in Penn Treebank brackets."""
