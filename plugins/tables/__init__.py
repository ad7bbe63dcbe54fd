"""Own data in tables: read, described by a schema, split, and turned into what nodes are given."""
