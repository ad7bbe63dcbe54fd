"""generate: samples from a run's net, as a picture."""

from pathlib import Path

from structnet.system.terminal import visible
from structnet.system.words import take_options


def run(words: list[str]) -> int:
    options = take_options(words, required=("run",), optional=None)
    from structnet.config.composing import saved
    from structnet.run.run import Run
    from structnet.system.files import write
    from structnet.training.generate import generate

    directory = Path(options.pop("run"))
    out = Path(options.pop("out", directory / "samples.png"))
    run = Run.compose(saved(str(directory)), directory)
    if out.suffix.lower() != ".png" or out.is_dir():
        raise ValueError(f"out must be a .png file, got {out}")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"no folder {out.parent} to write {out.name} to")
    made = generate(run, options)
    write(out, made.save)
    print(visible(f"picture: {out}"))
    return 0
