"""Models without structure that results are compared with."""
