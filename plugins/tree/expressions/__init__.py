"""Python expressions as trees, in the order written and with their operands exchanged."""
