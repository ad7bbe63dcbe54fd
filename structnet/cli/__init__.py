"""The command line: `main`, and one file per command, named like it, with a function `run`."""

COMMANDS = (
    "train", "runs", "test", "predict", "generate", "errors", "export", "serve", "diagnose", "draw",
    "bench", "push", "pull", "list", "check", "new", "completion",
)  # fmt: skip
