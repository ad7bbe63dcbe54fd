"""Pictures of structures: nodes and their predecessors, level by level."""
