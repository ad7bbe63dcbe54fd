"""Pictures of structures: who feeds whom, level by level."""
