"""push: a trained run to a repository of a hub."""

from pathlib import Path

from structnet.system.terminal import visible
from structnet.system.words import command_line, take_flag, take_options


def run(words: list[str]) -> int:
    private = take_flag(words, "--private")
    options = take_options(words, required=("run", "to"), also=("--private",))
    from structnet.run.card import NAME
    from structnet.sharing.pushing import push

    directory = Path(options["run"])
    if (directory / "metrics.json").is_file() and not (directory / NAME).is_file():
        _write_card(directory)
    pushed = push(directory, options["to"], private)
    print(f"pushed: {pushed.address} ({', '.join(pushed.names)})")
    print(visible(f"page: {pushed.url}"))
    for option, path in pushed.paths.items():
        print(visible(f"its configuration names a path of this machine: {option}={path}"))
    print("try next:")
    print(" ", command_line("pull", f"from={pushed.address}", "out=DIR"))
    return 0


def _write_card(directory: Path) -> None:
    """Write the model card of a run that was trained by a version without."""
    from structnet.config.composing import saved
    from structnet.config.spelling import words_of
    from structnet.run.card import write_card
    from structnet.run.run import Run

    run = Run.compose(saved(str(directory)), directory)
    write_card(run, run.read_metrics(), words_of(run.config))
