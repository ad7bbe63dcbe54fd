"""generate: what a run draws by itself."""

from pathlib import Path

from structnet.terminal import visible
from structnet.words import take_options


def generate(words: list[str]) -> int:
    options = take_options(words, required=("run",), optional=None)
    from structnet.config import saved
    from structnet.files import write
    from structnet.generate import generate
    from structnet.run import Run

    directory = Path(options.pop("run"))
    out = Path(options.pop("out", directory / "samples.png"))
    run = Run.compose(saved(str(directory)), directory)
    if out.suffix.lower() != ".png" or out.is_dir():
        raise ValueError(f"out is a .png file, got {out}")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"no folder {out.parent} to write {out.name} to")
    made = generate(run, options)
    write(out, made.save)
    print(visible(f"picture: {out}"))
    return 0
