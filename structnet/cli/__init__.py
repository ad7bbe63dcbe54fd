"""The command line: `main`, and for every command a file of its name with a function `run`."""

COMMANDS = ("train", "test", "predict", "generate", "diagnose", "draw", "bench", "list")
