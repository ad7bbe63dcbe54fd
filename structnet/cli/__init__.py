"""The command line: `main`, and one file per command, named like it, with a function `run`."""

COMMANDS = ("train", "test", "predict", "generate", "diagnose", "draw", "bench", "list")
