"""Access to the machine: files, memory, signals and the terminal."""
