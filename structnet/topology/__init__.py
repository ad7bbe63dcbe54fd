"""From a structure to the order in which its nodes are computed."""
