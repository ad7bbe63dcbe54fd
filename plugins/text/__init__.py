"""Text, as tasks over words, characters and sub-words read it."""
