"""generate: samples from a run's net, pictures or text."""

from collections.abc import Iterable
from pathlib import Path

from structnet.system.terminal import visible, visible_text
from structnet.system.words import take_options


def run(words: list[str]) -> int:
    options = take_options(words, required=("run",), optional=None)
    from structnet.config.composing import saved
    from structnet.run.run import Run
    from structnet.system.files import write
    from structnet.training.generate import generate

    directory = Path(options.pop("run"))
    given = options.pop("out", None)
    run = Run.compose(saved(str(directory)), directory)
    is_picture = run.task.generates == "picture"
    out = Path(given or directory / "samples.png")
    if given or is_picture:
        checked(out, is_picture)
    made = generate(run, options)
    if is_picture:
        write(out, made.save)
        print(visible(f"picture: {out}"))
        return 0
    text = _print(made)
    if given is not None:
        write(out, lambda path: path.write_text(text, encoding="utf-8"))
        print(visible(f"text: {out}"))
    return 0


def checked(out: Path, is_picture: bool) -> Path:
    """The file to write to; ValueError or OSError for one that can not be, before the net runs."""
    from structnet.draw.picture import FORMATS

    if out.is_dir():
        raise ValueError(f"out must be a {'.png ' if is_picture else ''}file, got the folder {out}")
    if is_picture and out.suffix.lower() != ".png":
        raise ValueError(f"out must be a .png file, got {out}")
    if not is_picture and out.suffix.lower() in FORMATS:
        raise ValueError(f"out must be a file of text, as it holds no picture, got {out}")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"no folder {out.parent} to write {out.name} to")
    return out


def _print(made: Iterable[str]) -> str:
    """Print pieces of text as they come; all of it."""
    pieces: list[str] = []
    for piece in made:
        print(visible_text(piece), end="", flush=True)
        pieces.append(piece)
    text = "".join(pieces)
    if not text.endswith("\n"):
        print()
    return text
