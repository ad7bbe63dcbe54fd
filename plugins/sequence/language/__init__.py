"""Language models: streams of text, their measures, and the n-gram models to compare with."""
