"""The built-in topologies with their tasks and nets, and folders that several of them use."""
