"""embed: the states of a trained net at every word of texts, as vectors in a file."""

import math
from pathlib import Path
from typing import Any

import structnet as sn

HELP = """\
structnet embed run=DIR file=FILE out=FILE.npz: vectors of words in their context

  run=DIR         the directory of a run over words, such as one of task=bidirectional_text
  file=FILE       a text file in UTF-8, a sentence per line; blank lines are left out
  text=TEXT       a sentence in place of a file; may be repeated
  out=FILE.npz    the file to write
  layers=W,W,...  how much of each layer is in a vector, from the input up, divided by their sum;
                  equal for all by default. layers=all keeps the vectors of all layers
  --plugin FILE   a Python file that registers your own components; may be repeated
  --traceback     show where an error came from

The file is one of NumPy, read by numpy.load(FILE) without pickle: vectors (tokens, size), or
(tokens, layers, size) with layers=all; tokens, the words as the task splits a sentence; ptr, where
sentence s has the tokens ptr[s] to ptr[s + 1] - 1; lines, the line of every sentence.
"""


def run(words: list[str]) -> int:
    texts = [word.removeprefix("text=") for word in words if word.startswith("text=")]
    words = [word for word in words if not word.startswith("text=")]
    options = sn.take_options(words, ("run", "out"), ("file", "layers"), also=("text",))
    if texts and "file" in options:
        raise ValueError("text= and file= are both given: take one of them")
    if not texts and "file" not in options:
        raise ValueError("give sentences: file=FILE, or text=TEXT, which may be repeated")
    out = _checked(Path(options["out"]))
    every = options.get("layers") == "all"
    weights = None if every or "layers" not in options else _weights(options["layers"])

    from structnet.plugins.sequence.language.representing import represent

    origins = _lines(Path(options["file"])) if "file" in options else _given(texts)
    found = represent(sn.Run.open(options["run"]), origins, weights, every)
    _save(out, found)
    _print(out, found)
    return 0


def _checked(path: Path) -> Path:
    """A path to write; ValueError for a folder or another kind of file."""
    if path.is_dir():
        raise ValueError(f"out={path} is a folder: name a file, as in out={path / 'vectors.npz'}")
    if path.suffix != ".npz":
        raise ValueError(f"out={path}: vectors are written to a file .npz, as in out=vectors.npz")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"out={path}: there is no folder {path.parent}")
    return path


def _weights(text: str) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or not all(0 <= one < math.inf for one in found) or not sum(found):
        raise ValueError(
            f"layers is all, or a weight from 0 on for each layer, not all 0, with commas, got "
            f"{text!r}"
        )
    return found


def _lines(path: Path) -> list[Any]:
    """The lines of a file that are not blank."""
    lines = enumerate(sn.read_text(path).replace("\r\n", "\n").split("\n"), start=1)
    found = [sn.Origin(path, number, line) for number, line in lines if line.strip()]
    if not found:
        raise ValueError(f"{path} has no sentences: all lines are blank")
    return found


def _given(texts: list[str]) -> list[Any]:
    return [sn.Origin("text", number, text) for number, text in enumerate(texts, start=1)]


def _save(path: Path, found: Any) -> None:
    import numpy as np

    arrays = {name: getattr(found, name) for name in ("vectors", "tokens", "ptr", "lines")}
    sn.write(path, lambda temporary: np.savez(temporary, **arrays))


def _print(path: Path, found: Any) -> None:
    numbers = " x ".join(f"{n:,}" for n in found.vectors.shape[1:])
    print(sn.visible(f"vectors: {path} ({len(found.tokens):,} tokens, {numbers} numbers each)"))
    if found.shares is not None:
        shares = ", ".join(f"{share:.3f}" for share in found.shares)
        print(f"layers, from the input up: {shares}")
    if found.unknown:
        print(f"tokens that the net does not know: {found.unknown:,}")
