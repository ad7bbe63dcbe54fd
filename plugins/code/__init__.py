"""Python source files: found, parsed, and their syntax as flat arrays of words."""
